# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio's program of the micro-benchmark; see bench.h for what all programs share.

A promise is a future of the loop.  There is no pool of loops; the pool is concurrent.futures' one of two threads.
"""

import asyncio
import concurrent.futures
import os
import resource
import socket
import statistics
import sys
import threading
import time

ROUNDS = 5
MANY = 100000
ITEMS = 1000000
TRIPS = 5000
IDLE_TRIPS = 200
PAUSE = 0.001
BATCH = 1000
WORKERS = 2
LEAVES = 1000000
SKYNET_UNIT = 1 << 40
SKYNET_SUM = 499999500000
NEVER = 3600


def row(name, value, unit):
    print(f"{name}\t{value:.9g}\t{unit}", flush=True)


def memory():
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return 1024 * sum(int(line.split()[1]) for line in status if line.startswith(("VmRSS:", "VmPTE:")))


def leave():
    sys.stdout.flush()
    os._exit(0)


# --- what is repeated: each gives how often it has done its thing ---


def repeat(count, clock=time.perf_counter_ns, pending=0):
    def decorate(op):
        async def measure(name):
            loop = asyncio.get_running_loop()
            held = [loop.call_later(NEVER + i % 997, leave) for i in range(pending)]
            await op(count // 10)
            values, counted = [], 0
            for _ in range(ROUNDS):
                start = clock()
                counted += await op(count)
                values.append((clock() - start) / count)
            if counted == count * ROUNDS:
                row(name, statistics.median(values), "ns")
            if held:
                leave()

        return lambda name: asyncio.run(measure(name))

    return decorate


async def future_resolve(n):
    loop, counted = asyncio.get_running_loop(), 0
    for _ in range(n):
        future = loop.create_future()
        future.set_result(1)
        counted += future.result()
    return counted


async def future_then(n):
    loop, counted = asyncio.get_running_loop(), 0

    def settle(future):
        then.set_result(future.result())

    for _ in range(n):
        future, then = loop.create_future(), loop.create_future()
        future.add_done_callback(settle)
        future.set_result(1)
        counted += await then
    return counted


async def await_settled(n):
    settled, counted = asyncio.get_running_loop().create_future(), 0
    settled.set_result(1)
    for _ in range(n):
        counted += await settled
    return counted


async def yield_often(n):
    counted = 0
    for _ in range(n):
        await asyncio.sleep(0)
        counted += 1
    return counted


def yield_among(tasks):
    async def run(n):
        return sum(await asyncio.gather(*(yield_often(n // tasks) for _ in range(tasks))))

    return run


async def one():
    return 1


async def spawn_await(n):
    counted = 0
    for _ in range(n):
        counted += await asyncio.create_task(one())
    return counted


async def timer_cancel(n):
    loop, counted = asyncio.get_running_loop(), 0
    for _ in range(n):
        loop.call_later(60, leave).cancel()
        counted += 1
    return counted


async def timer_fire(n):
    loop, counted = asyncio.get_running_loop(), 0

    def fire():
        nonlocal counted
        counted += 1
        if counted % BATCH == 0:
            all_fired.set_result(None)

    for _ in range(n // BATCH):
        all_fired = loop.create_future()
        for _ in range(BATCH):
            loop.call_later(1e-6, fire)
        await all_fired
    return counted


# --- many tasks ---


async def gather_marking():
    marks = bytearray(MANY)

    async def set_mark(i):
        marks[i] = 1

    start = time.perf_counter_ns()
    await asyncio.gather(*[asyncio.create_task(set_mark(i)) for i in range(MANY)])
    return time.perf_counter_ns() - start, sum(marks)


async def print_many(name):
    ns, counted = await gather_marking()
    row(name, ns / MANY, "ns")
    row(name, counted, "units")
    rounds = [await gather_marking() for _ in range(3)]
    row(f"{name}_warm", statistics.median(ns / MANY for ns, _ in rounds), "ns")
    row(f"{name}_warm", min(counted for _, counted in rounds), "units")


def pool_submit(name):
    counts = {}

    def count():
        own = threading.get_ident()
        counts[own] = counts.get(own, 0) + 1

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        start = time.perf_counter_ns()
        for _ in range(ITEMS):
            pool.submit(count)
        pool.shutdown()
    row(name, (time.perf_counter_ns() - start) / ITEMS, "ns")
    row(name, sum(counts.values()), "units")


# --- two threads ---


PROCESSORS = sorted(os.sched_getaffinity(0))


def pin(processor):
    """Keeps the calling thread on one of the processors that the program may run on."""
    os.sched_setaffinity(0, {PROCESSORS[processor % len(PROCESSORS)]})


def trips(count, pause):
    def run(name):
        answering = asyncio.new_event_loop()
        thread = threading.Thread(target=answering.run_forever)

        async def ask():
            loop, ns, counted = asyncio.get_running_loop(), 0, 0
            for _ in range(count):
                if pause:
                    await asyncio.sleep(pause)
                start = time.perf_counter_ns()
                answer = loop.create_future()
                answering.call_soon_threadsafe(loop.call_soon_threadsafe, answer.set_result, 1)
                counted += await answer
                ns += time.perf_counter_ns() - start
            row(name, ns / count, "ns")
            row(name, counted, "units")

        thread.start()
        answering.call_soon_threadsafe(pin, 1)
        pin(0)
        asyncio.run(ask())
        answering.call_soon_threadsafe(answering.stop)
        thread.join()

    return run


# --- sleepers ---


def sleepers(count):
    async def run(name):
        ended = 0

        async def sleeper():
            nonlocal ended
            await asyncio.sleep(1)
            ended += 1

        start = time.perf_counter_ns()
        await asyncio.gather(*[asyncio.create_task(sleeper()) for _ in range(count)])
        row(name, (time.perf_counter_ns() - start) / 1e9, "s")
        row(name, ended, "units")
        leave()

    return lambda name: asyncio.run(run(name))


def sleepers_bytes(count):
    async def run(name):
        before, started = memory(), 0

        async def sleeper():
            nonlocal started
            started += 1
            if started == count:
                row(name, (memory() - before) / count, "bytes")
                row(name, started, "units")
                leave()
            await asyncio.sleep(NEVER)

        await asyncio.gather(*[asyncio.create_task(sleeper()) for _ in range(count)])

    return lambda name: asyncio.run(run(name))


def sleeping_future(loop, seconds):
    future = loop.create_future()
    loop.call_later(seconds, future.set_result, 1)
    return future


async def sleeping_futures(name):
    loop, start = asyncio.get_running_loop(), time.perf_counter_ns()
    ended = await asyncio.gather(*[sleeping_future(loop, 1) for _ in range(LEAVES)])
    row(name, (time.perf_counter_ns() - start) / 1e9, "s")
    row(name, sum(ended), "units")
    leave()


async def sleeping_futures_bytes(name):
    loop, before = asyncio.get_running_loop(), memory()
    futures = [sleeping_future(loop, NEVER) for _ in range(LEAVES)]
    row(name, (memory() - before) / LEAVES, "bytes")
    row(name, sum(not future.done() for future in futures), "units")
    leave()


# --- skynet ---


async def skynet_node(first, leaves):
    if leaves == 1:
        return SKYNET_UNIT + first
    below = leaves // 10
    tasks = [asyncio.create_task(skynet_node(first + i * below, below)) for i in range(10)]
    return SKYNET_UNIT + sum([await task for task in tasks])


async def skynet(name):
    start = time.perf_counter_ns()
    total = await asyncio.create_task(skynet_node(0, LEAVES))
    ns = time.perf_counter_ns() - start
    if total % SKYNET_UNIT == SKYNET_SUM:
        row(name, ns / 1e6, "ms")
        row(name, total // SKYNET_UNIT, "units")


# --- echo ---


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo(name):
    loop = asyncio.get_running_loop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    server = await loop.create_server(Echo, "127.0.0.1", 0, family=socket.AF_INET, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    leave()


async def idle(name):
    await asyncio.get_running_loop().create_future()


def as_main(main):
    return lambda name: asyncio.run(main(name))


OPS = {
    "future_resolve": repeat(200000)(future_resolve),
    "future_then": repeat(50000)(future_then),
    "await_settled": repeat(500000)(await_settled),
    "fiber_yield": repeat(100000)(yield_among(2)),
    "fiber_yield_1000": repeat(100000)(yield_among(1000)),
    "spawn_await": repeat(30000)(spawn_await),
    "spawn_many": as_main(print_many),
    "pool_submit": pool_submit,
    "cross_thread": trips(TRIPS, 0),
    "cross_thread_idle": trips(IDLE_TRIPS, PAUSE),
    "sleepers_100k": sleepers(100000),
    "sleepers_1m": sleepers(1000000),
    "sleepers_100k_bytes": sleepers_bytes(100000),
    "sleepers_1m_bytes": sleepers_bytes(1000000),
    "sleeping_futures_1m": as_main(sleeping_futures),
    "sleeping_futures_1m_bytes": as_main(sleeping_futures_bytes),
    "skynet": as_main(skynet),
    "timer_cancel": repeat(30000)(timer_cancel),
    "timer_cancel_1000": repeat(30000, pending=1000)(timer_cancel),
    "timer_cancel_1m": repeat(30000, pending=1000000)(timer_cancel),
    "timer_fire": repeat(20000, time.process_time_ns)(timer_fire),
    "timer_fire_1000": repeat(20000, time.process_time_ns, 1000)(timer_fire),
    "timer_fire_1m": repeat(20000, time.process_time_ns, 1000000)(timer_fire),
    "echo": as_main(echo),
    "idle": as_main(idle),
}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(*OPS, sep="\n")
    else:
        OPS[sys.argv[1]](sys.argv[1])
