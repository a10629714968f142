/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The echo server that has nothing between it and the kernel. */
#pragma once

#include <stdint.h>

/* Serves until standard input ends. @trigger: 0, or EPOLLET for the edge-triggered form. */
void echo_epoll_serve (uint32_t trigger);
