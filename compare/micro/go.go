// SPDX-License-Identifier: LGPL-2.1-or-later

// Go's program of the micro-benchmark; see bench.h for what all programs share. A promise is a channel of one, a task
// is a goroutine. What the others do on one loop runs on one P, what they do on two workers on two.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	rounds       = 5
	many         = 100000
	computing    = 20000
	steps        = 2000
	items        = 1000000
	roundTrips   = 5000
	idleTrips    = 200
	pause        = time.Millisecond
	batch        = 1000
	workers      = 2
	leaves       = 1000000
	skynetUnit   = int64(1) << 40
	skynetSum    = int64(499999500000)
	echoBuffer   = 1024
	neverSeconds = 3600
)

var counted int

func row(name string, value float64, unit string) {
	fmt.Printf("%s\t%.9g\t%s\n", name, value, unit)
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

var begin = time.Now()

func now() float64 { return float64(time.Since(begin)) }

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

func memory() float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	kib := 0.0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if fields[0] == "VmRSS:" || fields[0] == "VmPTE:" {
			value, _ := strconv.ParseFloat(fields[1], 64)
			kib += value
		}
	}
	return 1024 * kib
}

// --- what is repeated ---

func repeat(name string, n int, clock func() float64, op func(n int)) {
	ns := make([]float64, rounds)
	op(n / 10)
	counted = 0
	for i := range ns {
		start := clock()
		op(n)
		ns[i] = (clock() - start) / float64(n)
	}
	if counted == n*rounds {
		row(name, median(ns), "ns")
	}
}

func futureResolve(n int) {
	for i := 0; i < n; i++ {
		promise := make(chan int, 1)
		promise <- 1
		counted += <-promise
	}
}

func futureThen(n int) {
	for i := 0; i < n; i++ {
		promise, then := make(chan int, 1), make(chan int, 1)
		go func() { then <- <-promise }()
		promise <- 1
		counted += <-then
	}
}

func awaitSettled(n int) {
	settled := make(chan struct{})
	close(settled)
	for i := 0; i < n; i++ {
		<-settled
		counted++
	}
}

func yieldAmong(tasks int) func(int) {
	return func(n int) {
		var all sync.WaitGroup
		all.Add(tasks)
		for i := 0; i < tasks; i++ {
			go func() {
				for j := 0; j < n/tasks; j++ {
					runtime.Gosched()
					counted++
				}
				all.Done()
			}()
		}
		all.Wait()
	}
}

func spawnAwait(n int) {
	done := make(chan int)
	for i := 0; i < n; i++ {
		go func() { done <- 1 }()
		counted += <-done
	}
}

// --- timers ---

func makePending(n int) []*time.Timer {
	pending := make([]*time.Timer, n)
	for i := range pending {
		pending[i] = time.NewTimer(time.Duration(neverSeconds+i%997) * time.Second)
	}
	return pending
}

// With a callback, as an expert sets a time limit: it needs no channel, which a timer that is made to be awaited has.
func timerCancel(n int) {
	for i := 0; i < n; i++ {
		if time.AfterFunc(time.Minute, neverCalled).Stop() {
			counted++
		}
	}
}

func neverCalled() { panic("a timer of a minute has fired") }

func timerFire(n int) {
	var timers [batch]*time.Timer
	for i := 0; i < n; i += batch {
		for j := range timers {
			timers[j] = time.NewTimer(time.Microsecond)
		}
		for j := range timers {
			<-timers[j].C
			counted++
		}
	}
}

func beside(n int, name string, times int, clock func() float64, op func(int)) {
	pending := makePending(n)
	repeat(name, times, clock, op)
	runtime.KeepAlive(pending)
}

// --- many tasks ---

var marks [many]byte
var marked = math.Inf(1) // in the round that marked the fewest

func countMarks(n int) float64 {
	count := 0
	for _, mark := range marks[:n] {
		count += int(mark)
	}
	return float64(count)
}

func gatherMarking(n int, task func(mark *byte)) float64 {
	var all sync.WaitGroup
	marks = [many]byte{}
	start := now()
	all.Add(n)
	for i := 0; i < n; i++ {
		mark := &marks[i]
		go func() {
			task(mark)
			all.Done()
		}()
	}
	all.Wait()
	ns := now() - start
	marked = math.Min(marked, countMarks(n))
	return ns
}

func setMark(mark *byte) { *mark = 1 }

func compute(seed uint64, steps int) uint64 {
	x := seed | 1
	for i := 0; i < steps; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func computeAndMark(mark *byte) {
	if compute(uint64(counted), steps) != 0 {
		*mark = 1
	}
}

// Between 0 and 1, never 0: splitmix64's number of the seed.
func uniform(seed uint64) float64 {
	x := (seed + 1) * 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return (float64((x^(x>>31))>>11) + 1) / 9007199254740993.0
}

// How many steps task i of pool_skew takes: lognormal, most of them few and some very many.
func skewedSteps(i uint64) int {
	normal := math.Sqrt(-2*math.Log(uniform(2*i))) * math.Cos(2*math.Pi*uniform(2*i+1))
	return int(steps / 4 * math.Exp(1.5*normal))
}

func printMany(name string) {
	row(name, gatherMarking(many, setMark)/many, "ns")
	row(name, marked, "units")
	ns := make([]float64, rounds)
	for i := range ns {
		ns[i] = gatherMarking(many, setMark) / many
	}
	row(name+"_warm", median(ns), "ns")
	row(name+"_warm", marked, "units")
}

func timeComputing(procs int, task func(*byte)) float64 {
	runtime.GOMAXPROCS(procs)
	ns := make([]float64, rounds)
	for i := range ns {
		ns[i] = gatherMarking(computing, task)
	}
	return median(ns)
}

func poolCompute(name string) {
	onOne := timeComputing(1, computeAndMark)
	row(name, timeComputing(workers, computeAndMark)/onOne, "x")
	row(name, marked, "units")
}

func poolSkew(name string) {
	sizes := make([]int, computing)
	for i := range sizes {
		sizes[i] = skewedSteps(uint64(i))
	}
	task := func(mark *byte) {
		i := int(uintptr(unsafe.Pointer(mark)) - uintptr(unsafe.Pointer(&marks[0])))
		if compute(uint64(i), sizes[i]) != 0 {
			*mark = 1
		}
	}
	onOne := timeComputing(1, task)
	row(name, timeComputing(workers, task)/(onOne/workers), "x")
	row(name, marked, "units")
}

// Each worker counts what it has run, and says so when there is no more.
func submitItems(n int) int {
	queue, counts := make(chan func(*int), 1024), make(chan int)
	for i := 0; i < workers; i++ {
		go func() {
			count := 0
			for item := range queue {
				item(&count)
			}
			counts <- count
		}()
	}
	item := func(count *int) { *count++ }
	for i := 0; i < n; i++ {
		queue <- item
	}
	close(queue)
	total := 0
	for i := 0; i < workers; i++ {
		total += <-counts
	}
	return total
}

func poolSubmit(name string) {
	submitItems(items / 10)
	start := now()
	count := submitItems(items)
	row(name, (now()-start)/items, "ns")
	row(name, float64(count), "units")
}

// --- two threads ---

type processorSet [16]uint64

func affinity(call uintptr, set *processorSet) {
	if _, _, errno := syscall.RawSyscall(call, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set))); errno != 0 {
		panic(errno)
	}
}

// Those that the program may run on.
func processors() (all []int) {
	var set processorSet
	affinity(syscall.SYS_SCHED_GETAFFINITY, &set)
	for i := 0; i < 64*len(set); i++ {
		if set[i/64]>>(i%64)&1 != 0 {
			all = append(all, i)
		}
	}
	return all
}

// Keeps the calling goroutine on a thread, and that on a processor.
func pin(processor int) {
	var set processorSet
	runtime.LockOSThread()
	set[processor/64] = 1 << (processor % 64)
	affinity(syscall.SYS_SCHED_SETAFFINITY, &set)
}

func trips(name string, n int, pause time.Duration) {
	ask, answer := make(chan int), make(chan int)
	all := processors()
	go func() {
		pin(all[1%len(all)])
		for i := range ask {
			answer <- i
		}
	}()
	pin(all[0])
	ns, count := 0.0, 0
	for i := 0; i < n; i++ {
		if pause > 0 {
			time.Sleep(pause)
		}
		start := now()
		ask <- 1
		count += <-answer
		ns += now() - start
	}
	row(name, ns/float64(n), "ns")
	row(name, float64(count), "units")
}

// --- sleepers ---

func sleepers(name string, n int) {
	var all sync.WaitGroup
	ended := make([]byte, n)
	start := now()
	all.Add(n)
	for i := 0; i < n; i++ {
		i := i
		go func() {
			time.Sleep(time.Second)
			ended[i] = 1
			all.Done()
		}()
	}
	all.Wait()
	row(name, (now()-start)/1e9, "s")
	count := 0
	for _, mark := range ended {
		count += int(mark)
	}
	row(name, float64(count), "units")
}

// All are asleep when all have started, but for the last few steps of each.
func sleepersBytes(name string, n int) {
	var started sync.WaitGroup
	count := int64(0)
	before := memory()
	started.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			atomic.AddInt64(&count, 1)
			started.Done()
			time.Sleep(neverSeconds * time.Second)
		}()
	}
	started.Wait()
	row(name, (memory()-before)/float64(n), "bytes")
	row(name, float64(atomic.LoadInt64(&count)), "units")
}

func sleepingFutures(name string, n int) {
	start := now()
	futures := make([]*time.Timer, n)
	for i := range futures {
		futures[i] = time.NewTimer(time.Second)
	}
	count := 0
	for _, future := range futures {
		<-future.C
		count++
	}
	row(name, (now()-start)/1e9, "s")
	row(name, float64(count), "units")
}

func sleepingFuturesBytes(name string, n int) {
	before := memory()
	futures := make([]*time.Timer, n)
	for i := range futures {
		futures[i] = time.NewTimer(neverSeconds * time.Second)
	}
	row(name, (memory()-before)/float64(n), "bytes")
	count := 0
	for _, future := range futures {
		if future.Stop() {
			count++
		}
	}
	row(name, float64(count), "units")
}

// --- skynet ---

func skynetNode(result chan<- int64, first, n int64) {
	if n == 1 {
		result <- skynetUnit + first
		return
	}
	below := n / 10
	results := make(chan int64, 10)
	for i := int64(0); i < 10; i++ {
		go skynetNode(results, first+i*below, below)
	}
	sum := skynetUnit
	for i := 0; i < 10; i++ {
		sum += <-results
	}
	result <- sum
}

func skynet(name string) {
	result := make(chan int64)
	start := now()
	go skynetNode(result, 0, leaves)
	sum := <-result
	ns := now() - start
	if sum%skynetUnit == skynetSum {
		row(name, ns/1e6, "ms")
		row(name, float64(sum/skynetUnit), "units")
	}
}

// --- echo ---

func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, echoBuffer)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go serve(connection)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

// --- the table ---

type op struct {
	procs int
	run   func(name string)
}

func repeated(n int, body func(int)) op {
	return op{1, func(name string) { repeat(name, n, now, body) }}
}

func timers(pending, n int, clock func() float64, body func(int)) op {
	return op{1, func(name string) { beside(pending, name, n, clock, body) }}
}

var ops = map[string]op{
	"future_resolve":            repeated(1000000, futureResolve),
	"future_then":               repeated(200000, futureThen),
	"await_settled":             repeated(2000000, awaitSettled),
	"fiber_yield":               repeated(1000000, yieldAmong(2)),
	"fiber_yield_1000":          repeated(1000000, yieldAmong(1000)),
	"spawn_await":               repeated(200000, spawnAwait),
	"spawn_many":                {1, printMany},
	"pool_spawn_many":           {workers, printMany},
	"pool_compute":              {workers, poolCompute},
	"pool_skew":                 {workers, poolSkew},
	"pool_submit":               {workers, poolSubmit},
	"cross_thread":              {workers, func(name string) { trips(name, roundTrips, 0) }},
	"cross_thread_idle":         {workers, func(name string) { trips(name, idleTrips, pause) }},
	"sleepers_100k":             {workers, func(name string) { sleepers(name, 100000) }},
	"sleepers_1m":               {workers, func(name string) { sleepers(name, 1000000) }},
	"sleepers_100k_bytes":       {workers, func(name string) { sleepersBytes(name, 100000) }},
	"sleepers_1m_bytes":         {workers, func(name string) { sleepersBytes(name, 1000000) }},
	"sleeping_futures_1m":       {workers, func(name string) { sleepingFutures(name, 1000000) }},
	"sleeping_futures_1m_bytes": {workers, func(name string) { sleepingFuturesBytes(name, 1000000) }},
	"skynet":                    {workers, skynet},
	"timer_cancel":              timers(0, 500000, now, timerCancel),
	"timer_cancel_1000":         timers(1000, 500000, now, timerCancel),
	"timer_cancel_1m":           timers(1000000, 500000, now, timerCancel),
	"timer_fire":                timers(0, 200000, cpu, timerFire),
	"timer_fire_1000":           timers(1000, 200000, cpu, timerFire),
	"timer_fire_1m":             timers(1000000, 200000, cpu, timerFire),
	"echo":                      {1, func(string) { echo() }},
	"idle":                      {workers, func(string) { time.Sleep(neverSeconds * time.Second) }},
}

func main() {
	if len(os.Args) < 2 {
		for name := range ops {
			fmt.Println(name)
		}
		return
	}
	chosen, ok := ops[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "there is no operation", os.Args[1])
		os.Exit(1)
	}
	runtime.GOMAXPROCS(chosen.procs)
	chosen.run(os.Args[1])
}
