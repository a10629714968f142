// SPDX-License-Identifier: LGPL-2.1-or-later

//! tokio's program of the micro-benchmark; see bench.h for what all programs share. A promise is a oneshot channel. What
//! the others do on one loop runs on a current-thread runtime, what they do on two workers on a multi-threaded one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, OnceCell};
use tokio::task::{spawn, yield_now};
use tokio::time::{sleep, Sleep};

const ROUNDS: usize = 5;
const MANY: usize = 100_000;
const COMPUTING: usize = 20_000;
const STEPS: u32 = 2_000;
const ITEMS: u64 = 1_000_000;
const TRIPS: usize = 5_000;
const IDLE_TRIPS: usize = 200;
const PAUSE: Duration = Duration::from_millis(1);
const BATCH: usize = 1_000;
const WORKERS: usize = 2;
const LEAVES: i64 = 1_000_000;
const SKYNET_UNIT: i64 = 1 << 40;
const SKYNET_SUM: i64 = 499_999_500_000;
const ECHO_BUFFER: usize = 1024;
const NEVER: Duration = Duration::from_secs(3600);

fn row(name: &str, value: f64, unit: &str) {
    println!("{name}\t{value}\t{unit}");
}

fn clock(which: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(which, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The same value, of which the compiler knows nothing any more (std's black_box is younger than Debian 12's compiler).
fn opaque<T: Copy>(value: T) -> T {
    unsafe { std::ptr::read_volatile(&value) }
}

fn wall() -> f64 {
    clock(libc::CLOCK_MONOTONIC)
}

fn cpu() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(|a, b| a.total_cmp(b));
    values[values.len() / 2]
}

fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib: f64 = status
        .lines()
        .filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap())
        .sum();
    1024.0 * kib
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap()
}

/// Ends the program in the middle: what it was to measure has been printed.
fn leave() -> ! {
    std::process::exit(0)
}

// --- what is repeated ---

/// Each gives how often it has done its thing.
fn repeat<F, R>(name: &'static str, n: usize, now: fn() -> f64, op: F)
where
    F: Fn(usize) -> R + Send + Sync + 'static,
    R: Future<Output = usize> + Send + 'static,
{
    beside(0, name, n, now, op)
}

/// The same beside timers that do not fire while it lasts.
fn beside<F, R>(n_pending: usize, name: &'static str, n: usize, now: fn() -> f64, op: F)
where
    F: Fn(usize) -> R + Send + Sync + 'static,
    R: Future<Output = usize> + Send + 'static,
{
    on_task(&one_thread(), async move {
        let _pending = make_pending(n_pending).await;
        let mut ns = [0.0; ROUNDS];
        let mut counted = 0;
        op(n / 10).await;
        for value in &mut ns {
            let start = now();
            counted += op(n).await;
            *value = (now() - start) / n as f64;
        }
        if counted == n * ROUNDS {
            row(name, median(&mut ns), "ns");
        }
        leave();
    });
}

async fn future_resolve(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n {
        let (promise, future) = oneshot::channel();
        promise.send(opaque(1)).unwrap();
        counted += future.await.unwrap();
    }
    counted
}

async fn future_then(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n {
        let (promise, future) = oneshot::channel();
        let then = spawn(async move { future.await.unwrap() });
        promise.send(opaque(1)).unwrap();
        counted += then.await.unwrap();
    }
    counted
}

async fn await_settled(n: usize) -> usize {
    let settled = OnceCell::new_with(Some(1));
    let mut counted = 0;
    for _ in 0..n {
        counted += *settled.get_or_init(|| async { 0 }).await;
    }
    counted
}

async fn yield_often(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n {
        yield_now().await;
        counted += 1;
    }
    counted
}

async fn yield_among(n: usize, n_tasks: usize) -> usize {
    let tasks: Vec<_> = (0..n_tasks).map(|_| spawn(yield_often(n / n_tasks))).collect();
    let mut counted = 0;
    for task in tasks {
        counted += task.await.unwrap();
    }
    counted
}

async fn spawn_await(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n {
        counted += spawn(async { 1 }).await.unwrap();
    }
    counted
}

// --- timers ---

/// A sleep is registered when it is first polled.
async fn register(timer: Pin<&mut Sleep>) {
    tokio::select! {
        biased;
        _ = timer => {}
        _ = std::future::ready(()) => {}
    }
}

/// Many timers in one piece of memory, as join_all() has what it joins.
type Timers = Pin<Box<[Sleep]>>;

async fn registered(n: usize, duration: impl Fn(usize) -> Duration) -> Timers {
    let timers: Vec<_> = (0..n).map(|i| sleep(duration(i))).collect();
    let mut timers = Box::into_pin(timers.into_boxed_slice());
    for timer in each(timers.as_mut()) {
        register(timer).await;
    }
    timers
}

/// None of them moves, since the slice that they are in does not.
fn each(timers: Pin<&mut [Sleep]>) -> impl Iterator<Item = Pin<&mut Sleep>> {
    unsafe { timers.get_unchecked_mut() }.iter_mut().map(|timer| unsafe { Pin::new_unchecked(timer) })
}

fn count_pending(timers: &Timers) -> usize {
    timers.iter().filter(|timer| !timer.is_elapsed()).count()
}

async fn timer_cancel(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n {
        let timer = sleep(Duration::from_secs(60));
        tokio::pin!(timer);
        register(timer.as_mut()).await;
        counted += usize::from(!timer.is_elapsed());
    }
    counted
}

async fn timer_fire(n: usize) -> usize {
    let mut counted = 0;
    for _ in 0..n / BATCH {
        let mut timers = registered(BATCH, |_| Duration::from_micros(1)).await;
        for timer in each(timers.as_mut()) {
            timer.await;
            counted += 1;
        }
    }
    counted
}

async fn make_pending(n: usize) -> Timers {
    registered(n, |i| NEVER + Duration::from_secs(i as u64 % 997)).await
}

// --- many tasks ---

#[allow(clippy::declare_interior_mutable_const)]
const UNMARKED: AtomicU8 = AtomicU8::new(0);
static MARKS: [AtomicU8; MANY] = [UNMARKED; MANY];

/// In the round that marked the fewest.
static MARKED: AtomicUsize = AtomicUsize::new(usize::MAX);

fn count_marks(n: usize) -> usize {
    MARKS[..n].iter().map(|mark| usize::from(mark.load(Relaxed))).sum()
}

fn marked() -> f64 {
    MARKED.load(Relaxed) as f64
}

async fn gather_marking(n: usize, task: fn(usize)) -> f64 {
    MARKS.iter().for_each(|mark| mark.store(0, Relaxed));
    let start = wall();
    let tasks: Vec<_> = (0..n).map(|i| spawn(async move { task(i) })).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let ns = wall() - start;
    MARKED.fetch_min(count_marks(n), Relaxed);
    ns
}

fn set_mark(i: usize) {
    MARKS[i].store(1, Relaxed);
}

fn compute_steps(seed: u64, n_steps: u32) -> u64 {
    let mut x = opaque(seed) | 1;
    for _ in 0..n_steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

fn compute_and_mark(i: usize) {
    MARKS[i].store((compute_steps(i as u64, STEPS) != 0).into(), Relaxed);
}

/// Main is a task itself: on one thread the runtime looks at its descriptors each time before it goes on with what
/// block_on() was given, and on several it is one of the workers that spawns.
fn on_task<T: Send + 'static>(runtime: &Runtime, main: impl Future<Output = T> + Send + 'static) -> T {
    runtime.block_on(async { spawn(main).await.unwrap() })
}

fn print_many(runtime: &Runtime, name: &'static str) {
    on_task(runtime, async move {
        row(name, gather_marking(MANY, set_mark).await / MANY as f64, "ns");
        row(name, marked(), "units");
        let mut ns = [0.0; ROUNDS];
        for value in &mut ns {
            *value = gather_marking(MANY, set_mark).await / MANY as f64;
        }
        row(&format!("{name}_warm"), median(&mut ns), "ns");
        row(&format!("{name}_warm"), marked(), "units");
    });
}

fn time_computing(runtime: &Runtime, task: fn(usize)) -> f64 {
    on_task(runtime, async move {
        let mut ns = [0.0; ROUNDS];
        for value in &mut ns {
            *value = gather_marking(COMPUTING, task).await;
        }
        median(&mut ns)
    })
}

fn pool_compute(name: &str) {
    let on_one = time_computing(&one_thread(), compute_and_mark);
    row(name, time_computing(&two_workers(), compute_and_mark) / on_one, "x");
    row(name, marked(), "units");
}

// --- tasks of very different sizes ---

#[allow(clippy::declare_interior_mutable_const)]
const NO_STEPS: AtomicU32 = AtomicU32::new(0);
static SKEWED_STEPS: [AtomicU32; COMPUTING] = [NO_STEPS; COMPUTING];

/// Between 0 and 1, never 0: splitmix64's number of the seed.
fn uniform(seed: u64) -> f64 {
    let mut x = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((x ^ (x >> 31)) >> 11) as f64 + 1.0) / 9_007_199_254_740_993.0
}

/// How many steps task i of pool_skew takes: lognormal, most of them few and some very many.
fn skewed_steps(i: u64) -> u32 {
    let normal = (-2.0 * uniform(2 * i).ln()).sqrt() * (2.0 * std::f64::consts::PI * uniform(2 * i + 1)).cos();
    (f64::from(STEPS / 4) * (1.5 * normal).exp()) as u32
}

fn compute_skewed_and_mark(i: usize) {
    let n_steps = SKEWED_STEPS[i].load(Relaxed);
    MARKS[i].store((compute_steps(i as u64, n_steps) != 0).into(), Relaxed);
}

fn pool_skew(name: &str) {
    for (i, steps) in SKEWED_STEPS.iter().enumerate() {
        steps.store(skewed_steps(i as u64), Relaxed);
    }
    let on_one = time_computing(&one_thread(), compute_skewed_and_mark);
    row(name, time_computing(&two_workers(), compute_skewed_and_mark) / (on_one / WORKERS as f64), "x");
    row(name, marked(), "units");
}

// --- items from outside ---

type Item = fn(&mut u64);

fn count_item(count: &mut u64) {
    *count += 1;
}

/// A worker of its own for each queue, which counts what it has run, and says so when there is no more.
fn submit_items(runtime: &Runtime, n: u64) -> u64 {
    let (queues, workers): (Vec<_>, Vec<_>) = (0..WORKERS)
        .map(|_| {
            let (queue, mut items) = mpsc::unbounded_channel::<Item>();
            let worker = runtime.spawn(async move {
                let mut count = 0;
                while let Some(item) = items.recv().await {
                    item(&mut count);
                }
                count
            });
            (queue, worker)
        })
        .unzip();
    for i in 0..n as usize {
        assert!(queues[i % WORKERS].send(count_item).is_ok());
    }
    drop(queues);
    workers.into_iter().map(|worker| runtime.block_on(worker).unwrap()).sum()
}

fn pool_submit(name: &str) {
    let runtime = two_workers();
    submit_items(&runtime, ITEMS / 10);
    let start = wall();
    let count = submit_items(&runtime, ITEMS);
    row(name, (wall() - start) / ITEMS as f64, "ns");
    row(name, count as f64, "units");
}

// --- two threads ---

/// Those that the program may run on.
fn processors() -> Vec<usize> {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, std::mem::size_of_val(&set), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&i| libc::CPU_ISSET(i, &set)).collect()
    }
}

/// Keeps the calling thread on one processor.
fn pin(processor: usize) {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        assert_eq!(libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set), 0);
    }
}

fn trips(name: &str, n: usize, pause: Duration) {
    let (ask, mut asked) = mpsc::channel::<usize>(1);
    let (answer, mut answered) = mpsc::channel::<usize>(1);
    let processors = processors();
    let (here, there) = (processors[0], processors[1 % processors.len()]);
    let thread = std::thread::spawn(move || {
        pin(there);
        one_thread().block_on(async move {
            while let Some(one) = asked.recv().await {
                answer.send(one).await.unwrap();
            }
        })
    });
    pin(here);
    one_thread().block_on(async move {
        let (mut ns, mut counted) = (0.0, 0);
        for _ in 0..n {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let start = wall();
            ask.send(1).await.unwrap();
            counted += answered.recv().await.unwrap();
            ns += wall() - start;
        }
        row(name, ns / n as f64, "ns");
        row(name, counted as f64, "units");
    });
    thread.join().unwrap();
}

// --- sleepers ---

fn sleepers(name: &str, n: usize) {
    one_thread().block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..n).map(|_| spawn(async { sleep(Duration::from_secs(1)).await })).collect();
        let mut ended = 0;
        for task in tasks {
            ended += usize::from(task.await.is_ok());
        }
        row(name, start.elapsed().as_secs_f64(), "s");
        row(name, ended as f64, "units");
    });
}

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// The last one to start finds all the others asleep.
fn sleepers_bytes(name: &'static str, n: usize) {
    let before = memory();
    one_thread().block_on(async move {
        let tasks: Vec<_> = (0..n)
            .map(|_| {
                spawn(async move {
                    if STARTED.fetch_add(1, Relaxed) + 1 == n {
                        row(name, (memory() - before) / n as f64, "bytes");
                        row(name, STARTED.load(Relaxed) as f64, "units");
                        leave();
                    }
                    sleep(NEVER).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn sleeping_futures(name: &str, n: usize) {
    one_thread().block_on(async {
        let start = Instant::now();
        let mut timers = registered(n, |_| Duration::from_secs(1)).await;
        let mut ended = 0;
        for timer in each(timers.as_mut()) {
            timer.await;
            ended += 1;
        }
        row(name, start.elapsed().as_secs_f64(), "s");
        row(name, f64::from(ended), "units");
    });
}

fn sleeping_futures_bytes(name: &str, n: usize) {
    let before = memory();
    one_thread().block_on(async {
        let timers = registered(n, |_| NEVER).await;
        row(name, (memory() - before) / n as f64, "bytes");
        row(name, count_pending(&timers) as f64, "units");
        leave();
    });
}

// --- skynet ---

fn skynet_node(first: i64, n: i64) -> Pin<Box<dyn Future<Output = i64> + Send>> {
    Box::pin(async move {
        if n == 1 {
            return SKYNET_UNIT + first;
        }
        let below = n / 10;
        let tasks: Vec<_> = (0..10).map(|i| spawn(skynet_node(first + i * below, below))).collect();
        let mut sum = SKYNET_UNIT;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    })
}

fn skynet(name: &str) {
    let runtime = two_workers();
    let start = wall();
    let sum = on_task(&runtime, skynet_node(0, LEAVES));
    let ns = wall() - start;
    if sum % SKYNET_UNIT == SKYNET_SUM {
        row(name, ns / 1e6, "ms");
        row(name, (sum / SKYNET_UNIT) as f64, "units");
    }
}

// --- echo ---

async fn serve(mut connection: tokio::net::TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; ECHO_BUFFER];
    connection.set_nodelay(true)?;
    loop {
        let n = connection.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..n]).await?;
    }
}

fn echo() {
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        leave();
    });
    one_thread().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(4096).unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            spawn(serve(connection));
        }
    });
}

fn raise_descriptor_limit() {
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

// --- the table ---

type Op = (&'static str, fn(&'static str));

const OPS: &[Op] = &[
    ("future_resolve", |name| repeat(name, 1_000_000, wall, future_resolve)),
    ("future_then", |name| repeat(name, 200_000, wall, future_then)),
    ("await_settled", |name| repeat(name, 5_000_000, wall, await_settled)),
    ("fiber_yield", |name| repeat(name, 1_000_000, wall, |n| yield_among(n, 2))),
    ("fiber_yield_1000", |name| repeat(name, 1_000_000, wall, |n| yield_among(n, 1000))),
    ("spawn_await", |name| repeat(name, 200_000, wall, spawn_await)),
    ("spawn_many", |name| print_many(&one_thread(), name)),
    ("pool_spawn_many", |name| print_many(&two_workers(), name)),
    ("pool_compute", pool_compute),
    ("pool_skew", pool_skew),
    ("pool_submit", pool_submit),
    ("cross_thread", |name| trips(name, TRIPS, Duration::ZERO)),
    ("cross_thread_idle", |name| trips(name, IDLE_TRIPS, PAUSE)),
    ("sleepers_100k", |name| sleepers(name, 100_000)),
    ("sleepers_1m", |name| sleepers(name, 1_000_000)),
    ("sleepers_100k_bytes", |name| sleepers_bytes(name, 100_000)),
    ("sleepers_1m_bytes", |name| sleepers_bytes(name, 1_000_000)),
    ("sleeping_futures_1m", |name| sleeping_futures(name, 1_000_000)),
    ("sleeping_futures_1m_bytes", |name| sleeping_futures_bytes(name, 1_000_000)),
    ("skynet", skynet),
    ("timer_cancel", |name| beside(0, name, 500_000, wall, timer_cancel)),
    ("timer_cancel_1000", |name| beside(1_000, name, 500_000, wall, timer_cancel)),
    ("timer_cancel_1m", |name| beside(1_000_000, name, 500_000, wall, timer_cancel)),
    ("timer_fire", |name| beside(0, name, 200_000, cpu, timer_fire)),
    ("timer_fire_1000", |name| beside(1_000, name, 200_000, cpu, timer_fire)),
    ("timer_fire_1m", |name| beside(1_000_000, name, 200_000, cpu, timer_fire)),
    ("echo", |_| echo()),
    ("idle", |_| one_thread().block_on(async { sleep(NEVER).await })),
];

fn main() {
    raise_descriptor_limit();
    match std::env::args().nth(1) {
        None => OPS.iter().for_each(|(name, _)| println!("{name}")),
        Some(wanted) => match OPS.iter().find(|(name, _)| *name == wanted) {
            Some((name, run)) => run(name),
            None => {
                eprintln!("there is no operation {wanted}");
                std::process::exit(1);
            }
        },
    }
}
