// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kcp-dev/tmc/pkg/rollup"
)

// maxEncoded is more than any status may take.
const maxEncoded = 256 << 10

// examine aggregates copies of every kind in both ways, and checks what must hold whatever the members said.
func examine(t *testing.T, upstream *unstructured.Unstructured, copies []rollup.Copy) {
	t.Helper()
	for _, gr := range every {
		for _, c := range copies {
			rollup.Replicas(gr, c.Object)
			if health, reason, message := rollup.Health(gr, c.Object); health == "" || len(reason) > 253 || len(message) > 1<<10 {
				t.Fatalf("%s: health is %q, with %d bytes of reason and %d of message", gr, health, len(reason), len(message))
			}
		}
		for name, aggregate := range map[string]aggregate{"sum": rollup.Status, "as one": rollup.StatusAsOne} {
			status, ok := aggregate(gr, upstream, copies, noon)
			if !ok {
				continue
			}
			check(t, status, slices.Contains(unknown, gr))
			wire := decoded(t, status)
			next := &unstructured.Unstructured{Object: fields{"metadata": upstream.Object["metadata"], "spec": upstream.Object["spec"], "status": wire}}
			again, ok := aggregate(gr, next, copies, evening)
			if diff := cmp.Diff(wire, again); len(wire) > 0 && (!ok || diff != "") {
				t.Fatalf("%s, %s: aggregating once more makes a difference (-first +second):\n%s", gr, name, diff)
			}
		}
	}
}

// check looks at bounds. A kind that is not known may have fractions and negative numbers.
func check(t *testing.T, status fields, free bool) {
	t.Helper()
	raw, err := json.Marshal(status)
	if err != nil {
		t.Fatalf("encoding the status: %v", err)
	}
	if len(raw) > maxEncoded {
		t.Fatalf("the status has %d bytes", len(raw))
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case fields:
			for key, value := range x {
				walk(path+"."+key, value)
			}
		case []any:
			if len(x) > 64 || strings.HasSuffix(path, ".conditions") && len(x) > 32 {
				t.Fatalf("%s has %d entries", path, len(x))
			}
			for _, value := range x {
				walk(path+"[]", value)
			}
		case string:
			if len(x) > 1<<10 || !utf8.ValidString(x) {
				t.Fatalf("%s has %d bytes, valid: %v", path, len(x), utf8.ValidString(x))
			}
		case int64:
			if x < 0 && !free {
				t.Fatalf("%s is %d", path, x)
			}
		case float64, bool:
		default:
			t.Fatalf("%s is a %T", path, v)
		}
	}
	walk("status", status)
}

func TestHostileStatus(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10<<20)
	thousands := make([]any, 5000)
	addresses := make([]any, 5000)
	for i := range thousands {
		thousands[i] = fields{"type": fmt.Sprintf("Type%d", i), "status": "True", "reason": long, "message": long, "lastTransitionTime": long}
		addresses[i] = fields{"ip": fmt.Sprintf("10.0.%d.%d", i/256, i%256), "hostname": long, "ports": thousands}
	}
	deep := fields{}
	for inner, n := deep, 0; n < 1000; n++ {
		next := fields{}
		inner["next"] = next
		inner = next
	}
	wide := fields{}
	for i := range 100_000 {
		wide[fmt.Sprint("field", i)] = long[:100]
	}
	many := fields{}
	for i := range 250 {
		many[fmt.Sprint("field", i)] = long
	}
	cases := map[string]fields{
		"negative":        {"replicas": int64(-5), "updatedReplicas": int64(math.MinInt64), "desiredNumberScheduled": float64(-1), "active": int64(-1), "expectedPods": int64(-3)},
		"huge":            {"replicas": int64(math.MaxInt64), "updatedReplicas": math.MaxFloat64, "readyReplicas": math.Inf(1), "observedGeneration": int64(math.MaxInt64), "succeeded": int64(math.MaxInt64)},
		"not numbers":     {"replicas": math.NaN(), "readyReplicas": "3", "observedGeneration": []any{}, "currentReplicas": fields{}, "ratio": math.Inf(-1)},
		"wrong types":     {"conditions": fields{}, "loadBalancer": []any{}, "active": "x", "phase": int64(1), "capacity": []any{"x"}, "accessModes": fields{}, "currentMetrics": int64(3)},
		"wrong entries":   {"conditions": []any{nil, "x", int64(1), []any{}, fields{"type": int64(1)}, fields{"type": "Ready", "status": true}, fields{"type": "A b", "status": "True"}}, "currentMetrics": []any{nil, fields{"type": "Resource", "resource": "x"}}},
		"many conditions": {"conditions": thousands},
		"many addresses":  {"loadBalancer": fields{"ingress": addresses}},
		"many active":     {"active": addresses, "accessModes": addresses},
		"long strings":    {"currentRevision": long, "updateRevision": long, "phase": long, "startTime": long, long: long, "conditions": []any{cond("Available", "True", long, long), cond(long, "True", long, long)}},
		"long everywhere": many,
		"deep":            {"deep": deep},
		"wide":            {"wide": wide},
		"control signs":   {"conditions": []any{cond("Ready", "False", "Bad", "\x1b[31mred\u202e\x00\xff\ufffd\nline"+strings.Repeat("ü", 600))}},
		"duplicates":      {"conditions": []any{cond("Available", "True", "A", "a"), cond("Available", "False", "B", "b"), cond("Complete", "True", "", ""), cond("Failed", "True", "", "")}},
		"quantities":      {"phase": "Bound", "capacity": fields{"storage": "1e999999999"}, "accessModes": []any{fields{}, []any{}, "ReadWriteOnce"}},
		"odd times":       {"startTime": "0000-00-00T00:00:00Z", "completionTime": noonText + "+99:99", "lastScheduleTime": int64(3), "conditions": []any{fields{"type": "Complete", "status": "True", "lastTransitionTime": "now"}}},
		"none":            nil,
	}
	for name, status := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := live(deploymentStep(1, 2, 2, 2))
			upstream := object(2, fields{"replicas": int64(4)}, nil)
			examine(t, upstream, []rollup.Copy{on("east", live(status))})
			examine(t, upstream, []rollup.Copy{told(on("east", good), 2), told(on("evil", live(status)), 2), unheard("gone"), on("late", nil)})
			examine(t, object(2, fields{"replicas": "x"}, status), []rollup.Copy{on("east", good), unheard("gone")})
		})
	}
}

// TestLyingMember has a member claim absurd figures: it cannot make up for what another one lacks.
func TestLyingMember(t *testing.T) {
	t.Parallel()
	honest := object(1, fields{"replicas": int64(2)}, deploymentStep(1, 2, 1, 1))
	for _, claim := range []int64{3, 1 << 20, math.MaxInt64, -1} {
		for _, replicas := range []int64{0, 2, claim} {
			liar := object(1, fields{"replicas": int64(2)}, fields{"observedGeneration": claim, "replicas": replicas, "updatedReplicas": claim, "readyReplicas": claim, "availableReplicas": claim})
			upstream := object(1, fields{"replicas": int64(4)}, nil)
			copies := []rollup.Copy{told(on("east", honest), 2), told(on("evil", liar), 2)}
			upstream.Object["status"], _ = rollup.Status(deployments, upstream, copies, noon)
			if got := kubectlDeployment(upstream); got != wait {
				t.Errorf("kubectl says %s of %v", got, upstream.Object["status"])
			}
		}
	}
}

func TestManyMembers(t *testing.T) {
	t.Parallel()
	var copies []rollup.Copy
	for i := range 40 {
		status := deploymentStep(1, 1<<30, 0, 0)
		status["conditions"] = []any{cond("Available", "False", "Few", fmt.Sprint("message ", i/10)), cond("Progressing", "True", "Working", fmt.Sprint("message ", i))}
		copies = append(copies, on(fmt.Sprintf("member-%02d", i), live(status)))
	}
	status, _ := rollup.Status(deployments, object(1, nil, nil), copies, noon)
	if got := integer(status, "replicas"); got != math.MaxInt32 {
		t.Errorf("replicas are %d", got)
	}
	want := "member-00, member-01, member-02, member-03, member-04 and 5 more: message 0; member-10, member-11, member-12, member-13, member-14 and 5 more: message 1; " +
		"member-20, member-21, member-22, member-23, member-24 and 5 more: message 2; member-30, member-31, member-32, member-33, member-34 and 5 more: message 3"
	if diff := cmp.Diff(want, findCondition(status, "Available")["message"]); diff != "" {
		t.Errorf("unexpected message (-want +got):\n%s", diff)
	}
	message, _ := findCondition(status, "Progressing")["message"].(string)
	if !strings.HasSuffix(message, "member-07: message 7; and 32 more") {
		t.Errorf("the message is %q", message)
	}
}

// invent makes a value of random shape, out of words that mean something somewhere.
func invent(r *rand.Rand, depth int) any {
	words := []string{
		"conditions", "type", "status", "reason", "message", "True", "False", "Unknown", "Available", "Progressing", "Complete", "Failed", "replicas", "updatedReplicas",
		"readyReplicas", "availableReplicas", "observedGeneration", "loadBalancer", "ingress", "ip", "10.0.0.1", "active", "name", "phase", "Bound", "capacity", "storage",
		"1Gi", "currentMetrics", "Resource", "resource", "current", "startTime", noonText, "lastTransitionTime", "ports", "port", "protocol", "TCP", "\xff", "",
		"desiredNumberScheduled", "currentRevision", "updateRevision", "completionTime", "spec", "Lost", "Pending", "lastUpdateTime", "accessModes", "ReadWriteOnce",
	}
	numbers := []any{int64(0), int64(1), int64(2), int64(-1), int64(math.MaxInt64), 1.5, math.NaN(), math.Inf(1), float64(2), int32(1), 1, uint8(1)}
	switch n := r.IntN(8); {
	case depth > 5 || n == 0:
		return numbers[r.IntN(len(numbers))]
	case n < 3:
		return words[r.IntN(len(words))]
	case n == 3:
		return []any{nil, true, struct{}{}}[r.IntN(3)]
	case n < 6:
		out := make([]any, r.IntN(5))
		for i := range out {
			out[i] = invent(r, depth+1)
		}
		return out
	}
	return inventMap(r, depth+1, words)
}

func inventMap(r *rand.Rand, depth int, words []string) fields {
	out := fields{}
	for range r.IntN(8) {
		out[words[r.IntN(len(words))]] = invent(r, depth)
	}
	return out
}

func FuzzInventedStatus(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, uint64(7))
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := rand.New(rand.NewPCG(a, b))
		keys := []string{"conditions", "replicas", "updatedReplicas", "observedGeneration", "loadBalancer", "active", "phase", "capacity", "currentMetrics", "startTime", "lastScheduleTime"}
		status := func() fields {
			out := inventMap(r, 2, keys)
			if r.IntN(2) == 0 {
				out["conditions"] = []any{
					fields{"type": "Complete", "status": "True", "message": invent(r, 9), "lastTransitionTime": invent(r, 9)}, invent(r, 3), fields{"type": "Ready", "status": invent(r, 6), "reason": invent(r, 9)},
				}
			}
			return out
		}
		upstream := object(r.Int64N(3), inventMap(r, 1, []string{"replicas", "updateStrategy"}), nil)
		if r.IntN(2) == 0 {
			previous := status()
			raw, err := json.Marshal(previous)
			if err == nil && json.Unmarshal(raw, &previous) == nil { // what is stored was encoded once
				upstream.Object["status"] = previous
			}
		}
		copies := make([]rollup.Copy, 1+r.IntN(4))
		for i := range copies {
			c := rollup.Copy{Member: fmt.Sprint("member-", r.IntN(9)), Current: r.IntN(2) == 0, Reachable: r.IntN(2) == 0}
			if r.IntN(3) > 0 {
				c.Object = object(r.Int64N(3), inventMap(r, 1, []string{"replicas", "paused", "type"}), status())
			}
			if r.IntN(2) == 0 {
				c = told(c, int32(r.IntN(5)-1))
			}
			copies[i] = c
		}
		before := fmt.Sprint(upstream.Object, copies)
		examine(t, upstream, copies)
		if after := fmt.Sprint(upstream.Object, copies); before != after {
			t.Fatalf("what was read was changed, from\n%s\nto\n%s", before, after)
		}
	})
}

func FuzzStatusJSON(f *testing.F) {
	f.Add([]byte(`{"replicas":3,"conditions":[{"type":"Available","status":"True"}]}`), []byte(`{}`))
	f.Add([]byte(`{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ports":[{"port":1,"protocol":"TCP"}]}]}}`), []byte(`{"phase":"Bound","capacity":{"storage":"1Gi"}}`))
	f.Add([]byte(`{"active":[{"name":"a"}],"lastScheduleTime":"2026-05-01T12:00:00Z"}`), []byte(`{"conditions":[{"type":"Complete","status":"True"}],"completionTime":"2026-05-01T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, east, previous []byte) {
		upstream, copyOf := object(2, nil, nil), object(1, nil, nil)
		for raw, o := range map[*[]byte]*unstructured.Unstructured{&east: copyOf, &previous: upstream} {
			var status fields
			if json.Unmarshal(*raw, &status) != nil {
				return
			}
			o.Object["status"] = status
		}
		examine(t, upstream, []rollup.Copy{on("east", copyOf)})
		examine(t, upstream, []rollup.Copy{on("east", copyOf), on("west", nil), unheard("edge")})
	})
}
