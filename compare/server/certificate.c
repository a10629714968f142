/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "server/certificate.h"

#include <gio/gio.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#define VALID_SECONDS (24 * 60 * 60)

/* Says whom the certificate is for; a negative number is GnuTLS's error. */
static int
fill_in (gnutls_x509_crt_t certificate)
{
  const unsigned char address[4] = { 127, 0, 0, 1 };
  const char *name = "localhost";
  const unsigned char serial = 1;
  time_t now = time (NULL);
  int code;

  if ((code = gnutls_x509_crt_set_version (certificate, 3)) < 0
      || (code = gnutls_x509_crt_set_serial (certificate, &serial, 1)) < 0
      || (code = gnutls_x509_crt_set_activation_time (certificate, now - VALID_SECONDS)) < 0
      || (code = gnutls_x509_crt_set_expiration_time (certificate, now + VALID_SECONDS)) < 0
      || (code = gnutls_x509_crt_set_dn (certificate, "CN=morrow-testserver", NULL)) < 0
      || (code = gnutls_x509_crt_set_basic_constraints (certificate, 1, -1)) < 0
      || (code = gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_IPADDRESS, address,
                                                       sizeof address, GNUTLS_FSAN_SET)) < 0)
    return code;

  return gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_DNSNAME, name,
                                               strlen (name), GNUTLS_FSAN_APPEND);
}

static char *
take_text (gnutls_datum_t *datum)
{
  char *text = g_strndup ((const char *) datum->data, datum->size);

  gnutls_free (datum->data);
  return text;
}

static int
make (Certificate *self, gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
  const unsigned bits = GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1);
  gnutls_datum_t pem;
  int code;

  if ((code = gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA, bits, 0)) < 0
      || (code = fill_in (certificate)) < 0
      || (code = gnutls_x509_crt_set_key (certificate, key)) < 0
      || (code = gnutls_x509_crt_sign2 (certificate, certificate, key, GNUTLS_DIG_SHA256, 0)) < 0
      || (code = gnutls_x509_crt_export2 (certificate, GNUTLS_X509_FMT_PEM, &pem)) < 0)
    return code;

  self->certificate = take_text (&pem);
  code = gnutls_x509_privkey_export2 (key, GNUTLS_X509_FMT_PEM, &pem);
  if (code >= 0)
    self->key = take_text (&pem);
  return code;
}

gboolean
certificate_make (Certificate *self, GError **error)
{
  gnutls_x509_crt_t certificate;
  gnutls_x509_privkey_t key;
  int code;

  gnutls_x509_crt_init (&certificate);
  gnutls_x509_privkey_init (&key);
  code = make (self, certificate, key);
  gnutls_x509_privkey_deinit (key);
  gnutls_x509_crt_deinit (certificate);

  if (code < 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot make a certificate: %s",
                 gnutls_strerror (code));
  return code >= 0;
}

void
certificate_clear (Certificate *self)
{
  g_clear_pointer (&self->certificate, g_free);
  g_clear_pointer (&self->key, g_free);
}
