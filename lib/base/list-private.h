/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Intrusive lists: the links live in the objects that are listed, so that nothing here allocates or
 * fails.
 *
 * MorrowList is a ring through a sentinel: the list head is a MorrowList itself, an empty list
 * points at itself, and a node can be taken out by its own address, in constant time, without
 * knowing which list it is on.  A removed node points at itself again: morrow__list_is_empty
 * (&node) asks whether a node (once initialised) is on no list, and removing it twice does nothing.
 *
 * MorrowQueue is first in, first out, with one link a node and a NULL at its end: half the memory,
 * for what is only ever taken from the front.  A node's link means nothing while it is on no queue
 * and need not be initialised.
 *
 * Neither is safe to share: whoever holds one says by what lock or on which thread it is
 * touched. */

#pragma once

#include <glib.h>

/* The object of @type whose member @member is at @node. */
#define morrow__container_of(node, type, member) \
  ((type *) (gpointer) ((gchar *) (node) - G_STRUCT_OFFSET (type, member)))

#define morrow__list_entry(node, type, member)  morrow__container_of (node, type, member)
#define morrow__queue_entry(node, type, member) morrow__container_of (node, type, member)

/* @node runs over @list; the body may not remove it.  The safe form may: it has fetched the next
 * one beforehand. */
#define morrow__list_foreach(list, node) \
  for (MorrowList *node = (list)->next; node != (list); node = node->next)
#define morrow__list_foreach_back(list, node) \
  for (MorrowList *node = (list)->prev; node != (list); node = node->prev)
#define morrow__list_foreach_safe(list, node, after) \
  for (MorrowList *node = (list)->next, *after = node->next; node != (list); \
       node = after, after = node->next)

typedef struct _MorrowList MorrowList;

struct _MorrowList
{
  MorrowList *next;
  MorrowList *prev;
};

typedef struct _MorrowQueueNode MorrowQueueNode;

struct _MorrowQueueNode
{
  MorrowQueueNode *next;
};

typedef struct
{
  MorrowQueueNode *head;
  MorrowQueueNode *tail;        /* Means nothing while head is NULL. */
} MorrowQueue;

#define MORROW__QUEUE_INIT { NULL, NULL }

static inline void
morrow__list_init (MorrowList *list)
{
  list->next = list;
  list->prev = list;
}

static inline gboolean
morrow__list_is_empty (const MorrowList *list)
{
  return list->next == list;
}

static inline void
morrow__list_insert_between (MorrowList *prev,
                             MorrowList *node,
                             MorrowList *next)
{
  node->prev = prev;
  node->next = next;
  prev->next = node;
  next->prev = node;
}

static inline void
morrow__list_append (MorrowList *list,
                     MorrowList *node)
{
  morrow__list_insert_between (list->prev, node, list);
}

static inline void
morrow__list_prepend (MorrowList *list,
                      MorrowList *node)
{
  morrow__list_insert_between (list, node, list->next);
}

static inline void
morrow__list_remove (MorrowList *node)
{
  node->prev->next = node->next;
  node->next->prev = node->prev;
  morrow__list_init (node);
}

/* Appends all of @src to @dst, in order; @src becomes empty. */
static inline void
morrow__list_splice (MorrowList *dst,
                     MorrowList *src)
{
  if (morrow__list_is_empty (src))
    return;

  src->next->prev = dst->prev;
  dst->prev->next = src->next;
  src->prev->next = dst;
  dst->prev = src->prev;
  morrow__list_init (src);
}

static inline void
morrow__queue_init (MorrowQueue *queue)
{
  queue->head = NULL;
  queue->tail = NULL;
}

static inline gboolean
morrow__queue_is_empty (const MorrowQueue *queue)
{
  return queue->head == NULL;
}

static inline void
morrow__queue_push (MorrowQueue     *queue,
                    MorrowQueueNode *node)
{
  node->next = NULL;
  if (queue->head == NULL)
    queue->head = node;
  else
    queue->tail->next = node;
  queue->tail = node;
}

/* Returns: the oldest node, or NULL when there is none. */
static inline MorrowQueueNode *
morrow__queue_pop (MorrowQueue *queue)
{
  MorrowQueueNode *node = queue->head;

  if (node != NULL)
    queue->head = node->next;
  return node;
}

/* Appends all of @src to @dst, in order; @src becomes empty. */
static inline void
morrow__queue_splice (MorrowQueue *dst,
                      MorrowQueue *src)
{
  if (src->head == NULL)
    return;

  if (dst->head == NULL)
    dst->head = src->head;
  else
    dst->tail->next = src->head;
  dst->tail = src->tail;
  morrow__queue_init (src);
}
