# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Explores the models of the lock-free structures with spin, every interleaving of each; then each once
# more with its decisive detail left out, which must not pass.  They are the same in every build.

. "$MORROW_SRCDIR/tests/meta/tap.sh"

test "${MORROW_CHECK_MODELS-yes}" = yes || skip_all "MORROW_CHECK_MODELS says that they are explored elsewhere"
command -v spin >/dev/null || skip_all "spin is not installed"
make_scratch

# explore MODEL [DEFINE]: whether no interleaving of the model violates anything.
explore ()
{
  (cd "$scratch" && rm -f pan* &&
     spin ${2:+"$2"} -a "$MORROW_SRCDIR/tests/model/$1.pml" >spin.log 2>&1 &&
     ${CC:-cc} -w -DSAFETY -DVECTORSZ=2048 -o pan pan.c >>spin.log 2>&1 &&
     ./pan -m200000 >pan.log) || { cat "$scratch/spin.log"; return 1; }

  grep -E 'errors:|pan:|error:' "$scratch/pan.log"
  grep -q 'errors: 0$' "$scratch/pan.log" && ! grep -q 'search depth too small' "$scratch/pan.log"
}

# notices MODEL VIOLATION [DEFINE]: what the exploration finds without the detail.
notices ()
{
  ! explore "$1" "${3:--DWEAK}" && grep -q "^pan:1: $2" "$scratch/pan.log"
}

check "deque: no interleaving loses an item or takes one twice" explore deque
check "deque: one does if the owner's store of bottom may be delayed" notices deque "assertion violated"
check "mpsc: no interleaving loses a node, its order or a wake-up" explore mpsc
check "mpsc: one does if a push does not compare before it swaps" \
  notices mpsc "\(assertion violated\|invalid end state\)"
check "mpsc: one does if the consumer does not look again once it says that it sleeps" \
  notices mpsc "invalid end state" -DHASTY
check "ring: no interleaving loses an item, takes one twice or reads one half written" explore ring
check "ring: one does if a slot is given back before it was read" notices ring "assertion violated"
check "room: no interleaving leaves who waits for room asleep" explore room
check "room: one does if who takes out looks too early at who waits" notices room "invalid end state"
check "parker: no interleaving loses a wake-up" explore parker
check "parker: one does if the wait does not look at the word" notices parker "invalid end state"
check "parker: one does if who goes to poll does not look for a token" notices parker "invalid end state" -DBLIND
check "future: no interleaving forgets a waiter, tells one twice or shows half an outcome" explore future
check "future: one does if the list is taken before the lock" notices future "assertion violated"
check "future: one does if who subscribes does not look for a crowd" notices future "assertion violated" -DBESIDE
check "pool: no interleaving leaves work lying while all loops sleep" explore pool
check "pool: one does if a loop does not look again once it counts as asleep" notices pool "invalid end state"
check "pool: one does if a push may be delayed beyond the look for a search" notices pool "invalid end state" -DUNFENCED
check "pool: one does if who takes something does not look for more" notices pool "invalid end state" -DSILENT
check "pool: one does if a nap does not end by itself" notices pool "invalid end state" -DDEEP
check "pool: no interleaving leaves work lying beside a loop that wakes up for something else" explore pool -DOWN
check "pool: one does if who was chosen to be woken does not look again" notices pool "invalid end state" -DROUGH
check "home: no interleaving frees a home under a visitor" explore home
check "home: one does if a visitor counts itself too late" notices home "assertion violated"
check "cancel: no interleaving with the start of a task loses a request" explore cancel
check "cancel: one does if the home looks before it has said that it started" notices cancel "assertion violated"
check "asked: no interleaving with the end of a task loses a request" explore asked
check "asked: one does if the task looks before it locks" notices asked "assertion violated"
check "asked: one does if who asks does not lock" notices asked "assertion violated" -DUNLOCKED
check "combine: no interleaving finishes twice, too early, or under who walks the children" explore combine
check "combine: one does if who cancels does not look whether it is too late" notices combine "assertion violated"
check "combine: one does if who looks at the children does not lock" notices combine "assertion violated" -DUNLOCKED
check "common: no interleaving tells a waiter of two futures twice or not at all, or looks at it once it is gone" explore common
check "common: one does if who settles writes to it" notices common "assertion violated"
check "common: one does if it is pushed where others are" notices common "assertion violated" -DANYWHERE
check "common: one does if it is pushed where somebody holds the lock" notices common "assertion violated" -DOVER
check "start: no interleaving cancels a child that is being started, or leaves one uncancelled" explore start
check "start: one does if who decides cancels in any case" notices start "assertion violated"
check "start: one does if who has started them does not look whether one has decided" notices start "assertion violated" -DDEAF
check "place: no interleaving cancels a host that is not known yet, or has gone" explore place
check "place: one does if the host says too late who it is" notices place "assertion violated"
check "place: one does if who cancels does not lock" notices place "assertion violated" -DUNLOCKED
check "interrupt: no interleaving finds a run that has gone" explore interrupt
check "interrupt: one does if a handler looks before it counts itself" notices interrupt "assertion violated"
check "interrupt: one does if the run waits before it takes itself away" notices interrupt "assertion violated" -DEARLY
check "outside: no interleaving leaves a task lying in a pool that has stopped" explore outside
check "outside: one does if who shuts down looks for tasks before he closes" notices outside "assertion violated"
check "outside: one does if who starts a task looks before he counts it" notices outside "assertion violated" -DHASTY
check "claim: no interleaving runs a pooled task twice, or not at all" explore claim
check "claim: one does if who claims does not compare" notices claim "assertion violated"
check "close: no interleaving leaves a job in a loop that has closed, or frees it under a poster" explore close
check "close: one does if who closes does not wait for the posters" notices close "assertion violated"
check "life: no interleaving ends an executor twice, or not at all, or touches one that has gone" explore life
check "life: one does if who lets go looks at the executor, and not whether it is there" notices life "assertion violated"
check "life: one does if its user lets go before it is known as abandoned" notices life "assertion violated" -DLATE
check "life: one does if its user lets go before he sweeps" notices life "assertion violated" -DBARE
check "ends: no interleaving leaves executors that let go of each other waiting" explore ends
check "ends: one does if who lets go waits though his own has been let go of" notices ends "invalid end state" -DBLIND
check "ends: one does if who is to wait is chosen before" notices ends "invalid end state" -DEARLY
check "descriptor: no interleaving with a close leaves a call waiting, or uses a number that was given back" explore descriptor
check "descriptor: one does if a task that has its slot does not look for a close" notices descriptor "invalid end state"
check "descriptor: one does if a thread looks for a close before it says where it waits" \
  notices descriptor "invalid end state" -DEARLY
check "edge: no interleaving has a task wait for what has come" explore edge
check "edge: one does if a call in vain counts though an edge has been told of since" notices edge "invalid end state" -DHASTY
check "edge: one does if a short read does" notices edge "invalid end state" -DSHORT
finish
