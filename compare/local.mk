# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The comparison of the models, and the server that it fetches from.
