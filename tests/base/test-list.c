/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The intrusive list and queue.
 */
#include "config.h"

#include "base/list-private.h"

#include "morrow-check.h"

typedef struct
{
  gint            value;
  MorrowList      link;
  MorrowQueueNode node;
} Item;

static Item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };

/* The values on @list as digits, front first. */
static gint
list_digits (MorrowList *list)
{
  gint digits = 0;

  morrow__list_foreach (list, link)
    digits = 10 * digits + morrow__list_entry (link, Item, link)->value;
  return digits;
}

/* The values on @queue as digits, oldest first; empties it. */
static gint
queue_digits (MorrowQueue *queue)
{
  MorrowQueueNode *node;
  gint digits = 0;

  while ((node = morrow__queue_pop (queue)) != NULL)
    digits = 10 * digits + morrow__queue_entry (node, Item, node)->value;
  return digits;
}

START_TEST (list_keeps_order_of_append_and_prepend)
{
  MorrowList list;

  morrow__list_init (&list);
  ck_assert (morrow__list_is_empty (&list));
  morrow__list_append (&list, &items[2].link);
  morrow__list_append (&list, &items[3].link);
  morrow__list_prepend (&list, &items[1].link);
  ck_assert (!morrow__list_is_empty (&list));
  ck_assert_int_eq (list_digits (&list), 123);
}
END_TEST

START_TEST (list_loses_a_node_from_anywhere_and_twice_does_nothing)
{
  MorrowList list;

  morrow__list_init (&list);
  for (guint i = 1; i < 4; i++)
    morrow__list_append (&list, &items[i].link);
  morrow__list_remove (&items[2].link);
  ck_assert_int_eq (list_digits (&list), 13);
  morrow__list_remove (&items[2].link);
  ck_assert (morrow__list_is_empty (&items[2].link));
  ck_assert_int_eq (list_digits (&list), 13);
  morrow__list_remove (&items[1].link);
  morrow__list_remove (&items[3].link);
  ck_assert (morrow__list_is_empty (&list));
}
END_TEST

START_TEST (list_foreach_safe_allows_removal_of_each)
{
  MorrowList list;
  guint n = 0;

  morrow__list_init (&list);
  for (guint i = 1; i < 4; i++)
    morrow__list_append (&list, &items[i].link);
  morrow__list_foreach_safe (&list, link, after)
    {
      morrow__list_remove (link);
      n++;
    }
  ck_assert_uint_eq (n, 3);
  ck_assert (morrow__list_is_empty (&list));
}
END_TEST

START_TEST (list_splice_appends_all_and_empties_the_other)
{
  MorrowList list, other;

  morrow__list_init (&list);
  morrow__list_init (&other);
  morrow__list_splice (&list, &other);
  ck_assert (morrow__list_is_empty (&list));
  morrow__list_append (&list, &items[1].link);
  morrow__list_append (&other, &items[2].link);
  morrow__list_append (&other, &items[3].link);
  morrow__list_splice (&list, &other);
  ck_assert_int_eq (list_digits (&list), 123);
  ck_assert (morrow__list_is_empty (&other));
  morrow__list_splice (&other, &list);
  ck_assert_int_eq (list_digits (&other), 123);
}
END_TEST

START_TEST (queue_is_first_in_first_out)
{
  MorrowQueue queue = MORROW__QUEUE_INIT;

  ck_assert (morrow__queue_is_empty (&queue));
  ck_assert_ptr_null (morrow__queue_pop (&queue));
  for (guint i = 1; i < 4; i++)
    morrow__queue_push (&queue, &items[i].node);
  ck_assert (!morrow__queue_is_empty (&queue));
  ck_assert_int_eq (queue_digits (&queue), 123);
  ck_assert (morrow__queue_is_empty (&queue));
}
END_TEST

START_TEST (queue_splice_appends_all_and_empties_the_other)
{
  MorrowQueue queue = MORROW__QUEUE_INIT, other = MORROW__QUEUE_INIT;

  morrow__queue_splice (&queue, &other);
  ck_assert (morrow__queue_is_empty (&queue));
  morrow__queue_push (&other, &items[1].node);
  morrow__queue_splice (&queue, &other);
  ck_assert (morrow__queue_is_empty (&other));
  morrow__queue_push (&other, &items[2].node);
  morrow__queue_push (&other, &items[3].node);
  morrow__queue_splice (&queue, &other);
  ck_assert_int_eq (queue_digits (&queue), 123);
}
END_TEST

static Suite *
list_suite (void)
{
  Suite *suite = suite_create ("list");
  TCase *list = tcase_create ("list");
  TCase *queue = tcase_create ("queue");

  tcase_add_test (list, list_keeps_order_of_append_and_prepend);
  tcase_add_test (list, list_loses_a_node_from_anywhere_and_twice_does_nothing);
  tcase_add_test (list, list_foreach_safe_allows_removal_of_each);
  tcase_add_test (list, list_splice_appends_all_and_empties_the_other);
  suite_add_tcase (suite, list);

  tcase_add_test (queue, queue_is_first_in_first_out);
  tcase_add_test (queue, queue_splice_appends_all_and_empties_the_other);
  suite_add_tcase (suite, queue);

  return suite;
}

MORROW_CHECK_MAIN (list_suite)
