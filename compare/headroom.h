/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shows that the test server has time to spare while the models run. */
#pragma once

/* `morrow-compare calibrate`: what main () returns. */
int headroom_main (int argc, char **argv);
