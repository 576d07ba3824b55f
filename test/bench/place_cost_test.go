// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// clockTick is how long a tick of /proc/<pid>/stat is: 100 a second on every Linux that Go runs on.
	clockTick = 10 * time.Millisecond
	// quiet is how long nothing may be written for what was going on to count as done.
	quiet    = 3 * time.Second
	idleTime = 5 * time.Second
	server   = "tmc-apiserver"
)

// usage is what was spent up to a moment, or between two.
type usage struct {
	at time.Time
	// hubWrites are ours to kcp, memberWrites ours to all members, memberReads the questions before a first write.
	hubWrites, memberWrites, memberReads float64
	// cpu is of our process, hub of kcp's: shard, virtual workspaces and front-proxies. members is of all members.
	cpu, hub, members time.Duration
}

var sample = regexp.MustCompile(`^(\w+)(\{[^}]*\})? ([0-9.e+-]+)$`)

// spent reads what was spent up to now.
func spent(b *testing.B) usage {
	b.Helper()
	u := usage{at: time.Now()}
	for line := range strings.Lines(string(ask(b, "/metrics"))) {
		parts := sample.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		value, err := strconv.ParseFloat(parts[3], 64)
		if err != nil {
			b.Fatalf("reading metric %q: %v", line, err)
		}
		switch {
		case parts[1] == "tmc_kcp_writes_total":
			u.hubWrites += value
		case parts[1] != "tmc_member_requests_total":
		case strings.Contains(parts[2], `"apply"`), strings.Contains(parts[2], `"create"`), strings.Contains(parts[2], `"delete"`):
			u.memberWrites += value
		case strings.Contains(parts[2], `"get"`):
			u.memberReads += value
		}
	}
	processes, err := stage.env.Processes()
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range processes {
		switch took := cpuOf(b, p.PID()); {
		case p.Name() == server:
			u.cpu += took
		case strings.HasPrefix(p.Name(), "member-"):
			u.members += took
		default:
			u.hub += took
		}
	}
	return u
}

func (u usage) since(before usage) usage {
	return usage{
		at:        before.at,
		hubWrites: u.hubWrites - before.hubWrites, memberWrites: u.memberWrites - before.memberWrites, memberReads: u.memberReads - before.memberReads,
		cpu: u.cpu - before.cpu, hub: u.hub - before.hub, members: u.members - before.members,
	}
}

// settled waits until nothing was written for a while, and returns what was spent up to then.
func settled(b *testing.B) usage {
	b.Helper()
	before, since := spent(b), time.Now()
	for deadline := time.Now().Add(placeTimeout); time.Now().Before(deadline); {
		linger(b, time.Second)
		now := spent(b)
		if now.hubWrites != before.hubWrites || now.memberWrites != before.memberWrites {
			before, since = now, time.Now()
			continue
		}
		if time.Since(since) >= quiet {
			return now
		}
	}
	b.Fatalf("writes go on after %s", placeTimeout)
	return usage{}
}

// idle is what a second costs in which nothing happens.
func idle(b *testing.B) usage {
	b.Helper()
	if stage.idle == nil {
		before := settled(b)
		linger(b, idleTime)
		u := spent(b).since(before)
		stage.idle = &u
	}
	return *stage.idle
}

// costs notes what each of some operations cost since a moment, beyond what time costs.
func (f *figures) costs(operation string, count int, before usage) {
	f.b.Helper()
	after := settled(f.b)
	total, rest := after.since(before), idle(f.b)
	share := float64(after.at.Sub(before.at)) / float64(idleTime)
	each := func(value float64) float64 { return value / float64(count) }
	beyond := func(took, resting time.Duration) float64 {
		return each(max(0, float64(took)-share*float64(resting)) / float64(time.Millisecond))
	}
	f.figure("hub-writes/"+operation, "writes to kcp by tmc-apiserver", each(total.hubWrites))
	f.figure("member-writes/"+operation, "writes to all members together", each(total.memberWrites))
	f.figure("member-reads/"+operation, "reads of all members together", each(total.memberReads))
	f.figure("cpu-ms/"+operation, "CPU of tmc-apiserver, beyond that of being idle", beyond(total.cpu, rest.cpu))
	f.figure("hub-cpu-ms/"+operation, "CPU of kcp's shard, virtual workspaces and front-proxies", beyond(total.hub, rest.hub))
	f.figure("member-cpu-ms/"+operation, "CPU of all members", beyond(total.members, rest.members))
}

// cpuOf is the time that a process has had of processors, 0 if there is none.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		b.Fatal(err)
	}
	// The name of the command, in parentheses, may hold anything; utime and stime are the 12th and 13th field after it.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	total := 0
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(string(field))
		if err != nil {
			b.Fatalf("reading the processor time of %d: %v", pid, err)
		}
		total += ticks
	}
	return time.Duration(total) * clockTick
}

// memory returns how much the server has resident, and how much of that lives after a collection.
func memory(b *testing.B) (resident, live float64) {
	b.Helper()
	ask(b, "/debug/pprof/heap?gc=1")
	for line := range strings.Lines(string(ask(b, "/metrics"))) {
		parts := sample.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil {
			continue
		}
		switch value, err := strconv.ParseFloat(parts[3], 64); {
		case err != nil:
			b.Fatalf("reading metric %q: %v", line, err)
		case parts[1] == "process_resident_memory_bytes":
			resident = value
		case parts[1] == "go_memstats_heap_alloc_bytes":
			live = value
		}
	}
	return resident, live
}

// ask reads something of the server itself, as kcp's administrator.
func ask(b *testing.B, path string) []byte {
	b.Helper()
	pair, err := tls.LoadX509KeyPair(stage.env.PKIFile("kcp-admin.crt"), stage.env.PKIFile("kcp-admin.key"))
	if err != nil {
		b.Fatal(err)
	}
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, stage.env.TMCURL()+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	c := client(b, pair)
	defer c.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s was answered with %d: %.300s (%v)", path, response.StatusCode, body, err)
	}
	return body
}
