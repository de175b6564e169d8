package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
)

// A report is all that was measured.
type report struct {
	Go       string        `json:"go"`
	Redis    string        `json:"redis"`
	Interval time.Duration `json:"interval_ns"`
	RTT      time.Duration `json:"rtt_ns"` // what was measured
	Quick    bool          `json:"quick,omitempty"`
	Results  []result      `json:"results"`
	Outages  []string      `json:"left_out,omitempty"`
}

// A result is what one system did with one pack.
type result struct {
	System string `json:"system"`
	pack
	Seconds    float64 `json:"seconds"`
	Requests   int64   `json:"requests"`
	Calls      float64 `json:"calls_per_request"`
	Assertions float64 `json:"assertions_per_request"`
	Redis      float64 `json:"redis_cpu_us_per_request"`
	Commands   float64 `json:"redis_commands_us_per_request"`
	Here       float64 `json:"own_cpu_us_per_request"` // with what sends the requests
	Service    float64 `json:"service_cpu_us_per_request"`
	Late       int64   `json:"late"`
	Errors     int64   `json:"errors"`
	Fault      string  `json:"fault,omitempty"`
	Rows       []row   `json:"rows"` // by cell
}

// A row is how one cell came out.
type row struct {
	cell
	accuracy
	Waited     int64         `json:"waited"`
	P50        time.Duration `json:"waited_p50_ns"`
	P99        time.Duration `json:"waited_p99_ns"`
	Max        time.Duration `json:"waited_max_ns"`
	Assertions float64       `json:"assertions_per_request"`
}

// A job is a system and a pack.
type job struct {
	system *system
	pack   pack
	prefix string
}

func run(ctx context.Context, s *settings) (err error) {
	dir, err := os.MkdirTemp("", "weir-sharing-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	redis, err := startServer(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.stop()) }()
	r, err := s.measure(ctx, dir, redis)
	if err != nil {
		return err
	}
	r.write(os.Stdout)
	if s.out == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.out, append(text, '\n'), 0o644)
}

// measure measures all that the settings ask for.
func (s *settings) measure(ctx context.Context, dir string, server *server) (r *report, err error) {
	r = &report{Go: runtime.Version(), Redis: server.text(ctx, "server", "redis_version"), Interval: s.interval, Quick: s.quick}
	e := environment{dir: dir, address: server.address, interval: s.interval}
	if s.rtt > 0 {
		way, err := newSlowWay(server.address, s.rtt)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, way.stop()) }()
		e.address = way.address()
	}
	jobs := s.jobs()
	if err := prepare(ctx, server, jobs); err != nil {
		return nil, err
	}
	if r.RTT, err = roundTrip(ctx, &e); err != nil {
		return nil, err
	}
	var out *outage
	for i, j := range jobs {
		e.prefix, e.nodes = j.prefix, j.pack.Nodes
		log.Printf("%2d of %d: %s, %s, %.4g requests a second", i+1, len(jobs), j.system.name, &j.pack, j.pack.rate())
		one, err := s.one(ctx, &e, server, j, r.RTT)
		switch {
		case errors.As(err, &out):
			log.Print(err)
			r.Outages = append(r.Outages, err.Error())
		case err != nil:
			return nil, fmt.Errorf("%s, %s: %w", j.system.name, &j.pack, err)
		default:
			r.Results = append(r.Results, *one)
		}
	}
	return r, nil
}

// jobs returns what is to be measured: one system after the other with the same pack,
// so that they share what else happens on the machine.
func (s *settings) jobs() []job {
	var all []job
	full := s.packs(false)
	for _, p := range full {
		for _, name := range s.systems {
			m := systemOf(name)
			if m.variant && !contains(s.packs(true), p) {
				continue
			}
			all = append(all, job{m, p, fmt.Sprintf("bench%d:", len(all))})
		}
	}
	return all
}

func contains(all []pack, p pack) bool {
	for i := range all {
		if all[i].String() == p.String() {
			return true
		}
	}
	return false
}

// prepare makes the stores of all jobs known to the server, and waits until they
// grant: that of a new one, nothing is granted at first, is not what is measured here.
func prepare(ctx context.Context, server *server, jobs []job) error {
	for _, j := range jobs {
		if j.system.accuracy == limiter.Eventual {
			continue
		}
		store, err := redis.New(redis.Options{Addr: server.address, Prefix: j.prefix})
		if err != nil {
			return err
		}
		err = store.Share(ctx, &limiter.Batch{Node: 1})
		if err = errors.Join(err, store.Close()); err != nil {
			return err
		}
	}
	return pause(ctx, limiter.Fence)
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// roundTrip returns what a round trip to Redis takes, on the way that systems have.
func roundTrip(ctx context.Context, e *environment) (best time.Duration, err error) {
	c := newClient(e)
	defer c.Close()
	for range 50 {
		began := time.Now()
		if err := c.Ping(ctx).Err(); err != nil {
			return 0, err
		}
		if d := time.Since(began); best == 0 || d < best {
			best = d
		}
	}
	return best, nil
}

// one measures one system with one pack.
func (s *settings) one(ctx context.Context, e *environment, server *server, j job, rtt time.Duration) (*result, error) {
	subjects := j.pack.subjects(j.prefix, j.system.algorithm, j.system.accuracy)
	f, err := j.system.start(ctx, e, subjects)
	if err != nil {
		return nil, err
	}
	defer func() {
		if f != nil {
			_ = f.stop() // there is another error already
		}
	}()
	// It begins in the midst of a window, which is not looked at, and ends with one.
	begin := time.Now().Add(s.window / 4).Truncate(s.window).Add(s.window * 3 / 4)
	first := begin.Truncate(s.window).Add(s.window)
	end := first.Add(time.Duration(s.windows) * s.window)
	if err := pause(ctx, time.Until(begin)-20*time.Millisecond); err != nil {
		return nil, err
	}
	runtime.GC()
	commands, redisCPU, own, before := server.commands(ctx), server.cpu(ctx), ownCPU(), f.spent()
	d := drivePack(ctx, f.nodes(), &j.pack, subjects, begin, end)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	after, ownAfter, redisAfter, commandsAfter := f.spent(), ownCPU(), server.cpu(ctx), server.commands(ctx)
	err = f.stop()
	f = nil
	if err != nil {
		return nil, err
	}
	r := &result{System: j.system.name, pack: j.pack, Seconds: end.Sub(begin).Seconds(), Late: d.late.Load(), Errors: d.errors.Load()}
	if fault := d.fault.Load(); fault != nil {
		r.Fault = (*fault).Error()
	}
	r.rows(subjects, d, before, after, func(c *cell) accuracy {
		return measure(c, subjects, first, end, 2*(s.interval+rtt))
	})
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(max(r.Requests, 1)) }
	r.Calls = float64(after.calls-before.calls) / float64(max(r.Requests, 1))
	r.Redis, r.Commands = per(redisAfter-redisCPU), per(inCommands(commands, commandsAfter))
	r.Here, r.Service = per(ownAfter-own), per(after.apart-before.apart)
	return r, nil
}

// rows adds up what became of the requests, by cell.
func (r *result) rows(subjects []*subject, d *drive, before, after spent, of func(*cell) accuracy) {
	var told uint64
	for i := range r.Cells {
		c := &r.Cells[i]
		h := &d.waits[i]
		w := row{cell: *c, accuracy: of(c), Waited: h.Count(), Max: h.Max()}
		w.P50, w.P99 = h.Quantile(0.5), h.Quantile(0.99)
		var n uint64
		for _, s := range subjects {
			if s.cell == c && len(after.assertions) > 0 {
				n += after.assertions[s.index] - before.assertions[s.index]
			}
		}
		told += n
		w.Assertions = float64(n) / float64(max(w.Requests, 1))
		r.Requests += w.Requests
		r.Rows = append(r.Rows, w)
	}
	r.Assertions = float64(told) / float64(max(r.Requests, 1))
}
