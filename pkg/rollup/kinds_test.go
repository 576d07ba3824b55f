// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package rollup_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kcp-dev/tmc/pkg/rollup"
)

type kindCase struct {
	gr       schema.GroupResource
	spec     fields
	previous fields
	copies   []rollup.Copy
	want     fields // nil if there is none
}

// merged is a condition as rollup makes it at noon.
func merged(kind, status, reason, message string, more ...fields) fields {
	c := fields{"type": kind, "status": status, "lastTransitionTime": noonText}
	if reason != "" {
		c["reason"] = reason
	}
	if message != "" {
		c["message"] = message
	}
	for _, m := range more {
		maps.Copy(c, m)
	}
	return c
}

// checkKinds aggregates at noon for generation 7, and once more in the evening, when nothing may have changed.
func checkKinds(t *testing.T, cases map[string]kindCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := object(7, c.spec, c.previous)
			got, ok := rollup.Status(c.gr, upstream, c.copies, noon)
			if ok != (c.want != nil) {
				t.Fatalf("Status returns %v, want %v; status: %v", ok, c.want != nil, got)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatalf("unexpected status (-want +got):\n%s", diff)
			}
			if !ok || len(got) == 0 {
				return
			}
			upstream.Object["status"] = decoded(t, got)
			again, _ := rollup.Status(c.gr, upstream, c.copies, evening)
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("the second status differs (-first +second):\n%s", diff)
			}
		})
	}
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	complete := fields{
		"observedGeneration": int64(3), "replicas": int64(2), "updatedReplicas": int64(2), "readyReplicas": int64(2), "availableReplicas": int64(2),
		"collisionCount": int64(4), "secret": "no",
		"conditions": []any{
			cond("Available", "True", "MinimumReplicasAvailable", "enough"), cond("Progressing", "True", "NewReplicaSetAvailable", "done"),
			cond("Invented", "True", "X", "not of this kind"),
		},
	}
	stuck := fields{
		"observedGeneration": int64(3), "replicas": int64(3), "updatedReplicas": int64(1), "readyReplicas": int64(2), "availableReplicas": int64(2), "unavailableReplicas": int64(1),
		"conditions": []any{
			cond("Available", "False", "MinimumReplicasUnavailable", "too few"), cond("Progressing", "False", "ProgressDeadlineExceeded", "timed out"),
			cond("ReplicaFailure", "True", "FailedCreate", "quota"),
		},
	}
	update := fields{"lastUpdateTime": noonText}
	member := fields{"lastUpdateTime": morningText, "lastTransitionTime": morningText}
	at := func(status fields) rollup.Copy {
		c := on("", object(3, nil, status))
		return told(c, 2)
	}
	named := func(member string, c rollup.Copy) rollup.Copy { c.Member = member; return c }
	stale := named("west", at(complete))
	stale.Current = false
	figures := func(replicas, updated, ready, available, unavailable, observed int64) fields {
		return fields{
			"replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": available,
			"unavailableReplicas": unavailable, "observedGeneration": observed,
		}
	}
	with := func(status fields, conditions ...any) fields { status["conditions"] = conditions; return status }
	checkKinds(t, map[string]kindCase{
		"deployment, one member: its times are kept": {deployments, fields{"replicas": int64(2)}, nil, []rollup.Copy{named("east", at(complete))}, with(figures(2, 2, 2, 2, 0, 7),
			merged("Available", "True", "MinimumReplicasAvailable", "east: enough", member), merged("Progressing", "True", "NewReplicaSetAvailable", "east: done", member))},
		"deployment, all members": {
			deployments,
			fields{"replicas": int64(4)},
			nil,
			[]rollup.Copy{named("west", at(complete)), named("east", at(complete))},
			with(figures(4, 4, 4, 4, 0, 7), merged("Available", "True", "MinimumReplicasAvailable", "east, west: enough", update),
				merged("Progressing", "True", "NewReplicaSetAvailable", "east, west: done", update)),
		},
		"deployment, one is stuck: it is named": {
			deployments,
			fields{"replicas": int64(4)},
			nil,
			[]rollup.Copy{named("east", at(complete)), named("west", at(stuck))},
			with(figures(5, 3, 4, 4, 1, 7), merged("Available", "False", "MinimumReplicasUnavailable", "west: too few", update),
				merged("Progressing", "False", "ProgressDeadlineExceeded", "west: timed out", update), merged("ReplicaFailure", "True", "FailedCreate", "west: quota", update)),
		},
		"deployment, one is missing": {
			deployments,
			fields{"replicas": int64(4)},
			fields{"observedGeneration": int64(5)},
			[]rollup.Copy{named("east", at(complete)), told(on("west", nil), 2)},
			with(figures(2, 2, 2, 2, 0, 5), merged("Available", "False", "Syncing", "west: the object is not there yet", update),
				merged("Progressing", "True", "Syncing", "west: the object is not there yet", update)),
		},
		"deployment, one is stale: generation held back": {
			deployments,
			fields{"replicas": int64(4)},
			fields{"observedGeneration": int64(7)},
			[]rollup.Copy{named("east", at(complete)), stale},
			with(figures(4, 4, 4, 4, 0, 6), merged("Available", "True", "MinimumReplicasAvailable", "east, west: enough", update),
				merged("Progressing", "True", "NewReplicaSetAvailable", "east, west: done", update)),
		},
		"deployment, previous generation is from the future": {
			deployments,
			fields{"replicas": int64(4)},
			fields{"observedGeneration": int64(99)},
			[]rollup.Copy{named("east", at(complete)), told(unheard("west"), 2)},
			with(figures(2, 2, 2, 2, 0, 7), merged("Available", "Unknown", "MemberUnreachable", "west: the member cannot be reached", update),
				merged("Progressing", "Unknown", "MemberUnreachable", "west: the member cannot be reached", update)),
		},
		"deployment, nobody has told": {gr: deployments, copies: []rollup.Copy{on("east", nil), on("west", live(nil)), unheard("edge")}},
		"deployment, no copies":       {gr: deployments, previous: fields{"replicas": int64(1)}},
		"deployment, no conditions yet": {deployments, nil, nil, []rollup.Copy{named("east", at(fields{"observedGeneration": int64(3)}))}, with(figures(0, 0, 0, 0, 0, 7),
			merged("Available", "Unknown", "Pending", "east: the member has not told yet", update))},
		"statefulset, one between revisions": {
			statefulSets,
			fields{"replicas": int64(4)},
			nil,
			[]rollup.Copy{
				named("east", at(fields{"observedGeneration": int64(3), "replicas": int64(2), "readyReplicas": int64(2), "currentReplicas": int64(2), "updatedReplicas": int64(2), "availableReplicas": int64(2), "currentRevision": "2-b", "updateRevision": "2-b"})),
				named("west", at(fields{"observedGeneration": int64(3), "replicas": int64(2), "readyReplicas": int64(2), "currentReplicas": int64(1), "updatedReplicas": int64(1), "availableReplicas": int64(1), "currentRevision": "2-a", "updateRevision": "2-b"})),
			},
			fields{
				"observedGeneration": int64(7), "replicas": int64(4), "readyReplicas": int64(4), "currentReplicas": int64(3), "updatedReplicas": int64(3), "availableReplicas": int64(3),
				"currentRevision": "2-a", "updateRevision": "2-b",
			},
		},
		"statefulset, nobody was heard: as before": {
			statefulSets,
			fields{"replicas": int64(2)},
			fields{"observedGeneration": int64(7), "replicas": int64(2), "readyReplicas": int64(2), "currentRevision": "a", "updateRevision": "a"},
			[]rollup.Copy{told(unheard("east"), 2)},
			fields{
				"observedGeneration": int64(7), "replicas": int64(2), "readyReplicas": int64(2), "currentReplicas": int64(0), "updatedReplicas": int64(0), "availableReplicas": int64(0),
				"currentRevision": "a", "updateRevision": "a",
			},
		},
		"daemonset": {
			daemonSets, nil, nil, []rollup.Copy{
				on("east", live(fields{"observedGeneration": int64(1), "desiredNumberScheduled": int64(3), "currentNumberScheduled": int64(9), "updatedNumberScheduled": int64(3), "numberReady": int64(2), "numberAvailable": int64(2), "numberUnavailable": int64(1), "numberMisscheduled": int64(5)})),
				on("west", live(fields{"observedGeneration": int64(1), "desiredNumberScheduled": int64(1), "currentNumberScheduled": int64(1), "numberReady": int64(1)})),
			}, fields{
				"observedGeneration": int64(7), "desiredNumberScheduled": int64(4), "currentNumberScheduled": int64(4), "updatedNumberScheduled": int64(3),
				"numberReady": int64(3), "numberAvailable": int64(2), "numberUnavailable": int64(1), "numberMisscheduled": int64(5),
			},
		},
		"replicaset": {
			replicaSets, fields{"replicas": int64(2)}, nil, []rollup.Copy{
				on("east", object(1, fields{"replicas": int64(1)}, fields{"observedGeneration": int64(1), "replicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1), "fullyLabeledReplicas": int64(1)})),
				on("west", object(1, fields{"replicas": int64(1)}, fields{"observedGeneration": int64(1), "conditions": []any{cond("ReplicaFailure", "True", "FailedCreate", "")}})),
			}, fields{
				"observedGeneration": int64(7), "replicas": int64(1), "readyReplicas": int64(1), "availableReplicas": int64(1), "fullyLabeledReplicas": int64(1),
				"conditions": []any{merged("ReplicaFailure", "True", "FailedCreate", "west")},
			},
		},
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	complete := func(start, end string) fields {
		return fields{
			"succeeded": int64(1), "startTime": start, "completionTime": end, "uncountedTerminatedPods": fields{"succeeded": []any{"uid"}}, "terminating": int64(0),
			"conditions": []any{cond("SuccessCriteriaMet", "True", "CompletionsReached", "all"), cond("Complete", "True", "CompletionsReached", "all")},
		}
	}
	running := fields{"active": int64(2), "ready": int64(1), "startTime": morningText, "conditions": []any{cond("Suspended", "False", "JobResumed", "resumed")}}
	broken := fields{"failed": int64(3), "startTime": noonText, "conditions": []any{cond("FailureTarget", "True", "BackoffLimitExceeded", "too many"), cond("Failed", "True", "BackoffLimitExceeded", "too many")}}
	finished := fields{"succeeded": int64(2), "startTime": morningText, "completionTime": noonText, "conditions": []any{merged("Complete", "True", "CompletionsReached", "all")}}
	checkKinds(t, map[string]kindCase{
		"complete only when all are": {
			gr: jobs, copies: []rollup.Copy{on("east", live(complete(morningText, noonText))), on("west", live(running))},
			want: fields{"active": int64(2), "ready": int64(1), "succeeded": int64(1), "startTime": morningText, "conditions": []any{merged("Suspended", "False", "JobResumed", "west: resumed")}},
		},
		"complete": {
			gr: jobs, copies: []rollup.Copy{on("east", live(complete(noonText, noonText))), on("west", live(complete(morningText, eveningText)))},
			want: fields{"succeeded": int64(2), "startTime": morningText, "completionTime": eveningText, "conditions": []any{
				merged("SuccessCriteriaMet", "True", "CompletionsReached", "east, west: all"), merged("Complete", "True", "CompletionsReached", "east, west: all"),
			}},
		},
		"not complete where it has not come to": {
			gr: jobs, copies: []rollup.Copy{on("east", live(complete(noonText, noonText))), on("west", nil)},
			want: fields{"succeeded": int64(1), "startTime": noonText},
		},
		"failed when any is": {
			gr: jobs, copies: []rollup.Copy{on("east", live(complete(noonText, noonText))), on("west", live(broken))},
			want: fields{"succeeded": int64(1), "failed": int64(3), "startTime": noonText, "conditions": []any{
				merged("FailureTarget", "True", "BackoffLimitExceeded", "west: too many"), merged("Failed", "True", "BackoffLimitExceeded", "west: too many"),
			}},
		},
		"stays finished when members clean up": {gr: jobs, previous: finished, copies: []rollup.Copy{on("east", nil), unheard("west")}, want: finished},
		"stays finished when it runs once more": {gr: jobs, previous: finished, copies: []rollup.Copy{on("east", live(running))}, want: fields{
			"active": int64(2), "ready": int64(1), "succeeded": int64(2), "startTime": morningText, "completionTime": noonText, "conditions": finished["conditions"],
		}},
		"cron job": {
			gr: cronJobs, copies: []rollup.Copy{
				on("east", live(fields{"active": []any{fields{"kind": "Job", "namespace": "tmc-x", "name": "1-a", "uid": "u"}, "junk", fields{"name": "Not A Name"}}, "lastScheduleTime": noonText, "lastSuccessfulTime": "yesterday"})),
				on("west", live(fields{"active": []any{fields{"name": "1-b"}}, "lastScheduleTime": eveningText, "lastSuccessfulTime": morningText})),
			},
			want: fields{
				"active": []any{
					fields{"apiVersion": "batch/v1", "kind": "Job", "namespace": "shop", "name": "1-a"}, fields{"apiVersion": "batch/v1", "kind": "Job", "namespace": "shop", "name": "1-b"},
				}, "lastScheduleTime": eveningText, "lastSuccessfulTime": morningText,
			},
		},
		"cron job that was never due": {gr: cronJobs, copies: []rollup.Copy{on("east", live(fields{}))}},
	})
}

func TestNetworkAndPolicy(t *testing.T) {
	t.Parallel()
	addresses := func(entries ...any) fields { return fields{"loadBalancer": fields{"ingress": entries}} }
	gen := fields{"observedGeneration": int64(7)}
	shared := fields{"hostname": "lb.example.com"}
	checkKinds(t, map[string]kindCase{
		"service without addresses costs no write": {gr: services, copies: []rollup.Copy{on("east", live(fields{"loadBalancer": fields{}}))}},
		"service loses its addresses":              {gr: services, previous: addresses(shared), copies: []rollup.Copy{on("east", live(fields{"loadBalancer": fields{}}))}, want: fields{}},
		"service": {gr: services, copies: []rollup.Copy{
			on("west", live(addresses(fields{"ip": "2001:DB8::1", "ipMode": "VIP", "ports": []any{fields{"port": int64(80), "protocol": "TCP", "error": "x.y/Z"}, fields{"port": int64(70000), "protocol": "TCP"}}}, shared))),
			on("east", live(fields{
				"loadBalancer": fields{"ingress": []any{fields{"ip": "10.0.0.1", "extra": "x"}, shared, fields{"ip": "10.0.0.1.2"}, fields{"ip": "fe80::1%eth0"}, fields{"hostname": "-"}, fields{}, "junk"}},
				"conditions":   []any{cond("LoadBalancerPortsError", "True", "", "no ports")},
			})),
		}, want: fields{
			"loadBalancer": fields{"ingress": []any{
				fields{"ip": "10.0.0.1"}, shared, fields{"ip": "2001:db8::1", "ipMode": "VIP", "ports": []any{fields{"port": int64(80), "protocol": "TCP", "error": "x.y/Z"}}},
			}},
			"conditions": []any{merged("LoadBalancerPortsError", "True", "Unknown", "east: no ports", gen)},
		}},
		"ingress keeps what an unheard member may have": {gr: ingresses, previous: addresses(shared), copies: []rollup.Copy{on("east", live(addresses(fields{"ip": "10.0.0.1", "ipMode": "VIP"}))), unheard("west")}, want: addresses(shared, fields{"ip": "10.0.0.1"})},
		"budget": {gr: budgets, copies: []rollup.Copy{
			on("east", live(fields{"observedGeneration": int64(1), "expectedPods": int64(3), "currentHealthy": int64(3), "desiredHealthy": int64(2), "disruptionsAllowed": int64(1), "disruptedPods": fields{"p": noonText}, "conditions": []any{cond("DisruptionAllowed", "True", "SufficientPods", "")}})),
			on("west", live(fields{"observedGeneration": int64(1), "expectedPods": int64(3), "currentHealthy": int64(2), "desiredHealthy": int64(2), "disruptionsAllowed": int64(0), "conditions": []any{cond("DisruptionAllowed", "False", "InsufficientPods", "")}})),
		}, want: fields{
			"observedGeneration": int64(7), "expectedPods": int64(6), "currentHealthy": int64(5), "desiredHealthy": int64(4), "disruptionsAllowed": int64(1),
			"conditions": []any{merged("DisruptionAllowed", "False", "InsufficientPods", "west", gen)},
		}},
		"budget of a member that cannot be reached": {
			gr: budgets, previous: fields{
				"observedGeneration": int64(7), "expectedPods": int64(3), "currentHealthy": int64(3), "desiredHealthy": int64(2), "disruptionsAllowed": int64(1),
				"conditions": []any{merged("DisruptionAllowed", "True", "SufficientPods", "east", gen)},
			}, copies: []rollup.Copy{unheard("east")},
			want: fields{
				"observedGeneration": int64(7), "expectedPods": int64(3), "currentHealthy": int64(3), "desiredHealthy": int64(2), "disruptionsAllowed": int64(1),
				"conditions": []any{merged("DisruptionAllowed", "Unknown", "MemberUnreachable", "east: the member cannot be reached", gen)},
			},
		},
		"autoscaler of two members, of which one cannot be reached": {
			gr: autoscalers, previous: fields{
				"observedGeneration": int64(7), "currentReplicas": int64(6), "desiredReplicas": int64(6),
				"conditions": []any{merged("AbleToScale", "True", "ReadyForNewScale", "east: ok"), merged("ScalingLimited", "True", "TooManyReplicas", "west: at most")},
			}, copies: []rollup.Copy{
				on("east", live(fields{"currentReplicas": int64(3), "desiredReplicas": int64(3), "conditions": []any{cond("AbleToScale", "True", "ReadyForNewScale", "ok")}})), unheard("west"),
			},
			want: fields{
				"observedGeneration": int64(7), "currentReplicas": int64(6), "desiredReplicas": int64(6),
				"conditions": []any{
					merged("AbleToScale", "Unknown", "MemberUnreachable", "west: the member cannot be reached"), merged("ScalingLimited", "Unknown", "MemberUnreachable", "west: the member cannot be reached"),
				},
			},
		},
		"autoscaler of a member that cannot be reached": {
			gr: autoscalers, previous: fields{
				"observedGeneration": int64(7), "currentReplicas": int64(3), "desiredReplicas": int64(4),
				"currentMetrics": []any{fields{"type": "Resource", "resource": fields{"name": "cpu", "current": fields{"averageUtilization": int64(70)}}}},
				"conditions":     []any{merged("ScalingLimited", "False", "DesiredWithinRange", "east: fine"), merged("AbleToScale", "True", "ReadyForNewScale", "east: ok")},
			}, copies: []rollup.Copy{unheard("east")},
			want: fields{
				"observedGeneration": int64(7), "currentReplicas": int64(3), "desiredReplicas": int64(4),
				"currentMetrics": []any{fields{"type": "Resource", "resource": fields{"name": "cpu", "current": fields{"averageUtilization": int64(70)}}}},
				"conditions": []any{
					merged("ScalingLimited", "Unknown", "MemberUnreachable", "east: the member cannot be reached"), merged("AbleToScale", "Unknown", "MemberUnreachable", "east: the member cannot be reached"),
				},
			},
		},
		"autoscaler of one member": {
			gr: autoscalers, copies: []rollup.Copy{on("east", live(fields{"currentReplicas": int64(3), "desiredReplicas": int64(4), "lastScaleTime": noonText, "currentMetrics": []any{
				fields{"type": "Resource", "resource": fields{"name": "cpu", "current": fields{"averageUtilization": int64(70), "averageValue": "70m", "value": "1e9999"}}},
				fields{"type": "ContainerResource", "containerResource": fields{"name": "cpu", "container": "app", "current": fields{"value": "1Gi"}}},
				fields{"type": "External", "external": fields{}},
			}}))},
			want: fields{"observedGeneration": int64(7), "currentReplicas": int64(3), "desiredReplicas": int64(4), "lastScaleTime": noonText, "currentMetrics": []any{
				fields{"type": "Resource", "resource": fields{"name": "cpu", "current": fields{"averageUtilization": int64(70), "averageValue": "70m"}}},
				fields{"type": "ContainerResource", "containerResource": fields{"name": "cpu", "container": "app", "current": fields{"value": "1Gi"}}},
			}},
		},
		"autoscaler of several": {
			gr: autoscalers, copies: []rollup.Copy{
				on("east", live(fields{"currentReplicas": int64(3), "desiredReplicas": int64(4), "lastScaleTime": noonText, "currentMetrics": []any{fields{"type": "Resource"}}, "conditions": []any{cond("ScalingLimited", "True", "TooManyReplicas", "at most"), cond("AbleToScale", "True", "ReadyForNewScale", "ok")}})),
				on("west", live(fields{"currentReplicas": int64(1), "desiredReplicas": int64(1), "lastScaleTime": morningText, "conditions": []any{cond("ScalingLimited", "False", "DesiredWithinRange", "fine"), cond("AbleToScale", "False", "FailedGetScale", "none")}})),
			},
			want: fields{"observedGeneration": int64(7), "currentReplicas": int64(4), "desiredReplicas": int64(5), "lastScaleTime": noonText, "conditions": []any{
				merged("ScalingLimited", "True", "TooManyReplicas", "east: at most"), merged("AbleToScale", "False", "FailedGetScale", "west: none"),
			}},
		},
	})
}

func TestClaimsAndOthers(t *testing.T) {
	t.Parallel()
	bound := func(storage any, modes ...any) *rollup.Copy {
		c := on("east", live(fields{"phase": "Bound", "accessModes": modes, "capacity": fields{"storage": storage, "cpu": "1"}}))
		return &c
	}
	west := func(c *rollup.Copy) rollup.Copy { c.Member = "west"; return *c }
	updated := fields{"lastUpdateTime": noonText, "observedGeneration": int64(7)}
	checkKinds(t, map[string]kindCase{
		"claim on a member that cannot be reached": {
			gr: claims, previous: fields{"phase": "Bound", "accessModes": []any{"ReadWriteOnce"}, "capacity": fields{"storage": "10Gi"}},
			copies: []rollup.Copy{unheard("east")},
			want:   fields{"phase": "Bound", "accessModes": []any{"ReadWriteOnce"}, "capacity": fields{"storage": "10Gi"}},
		},
		"claim on two members, of which one cannot be reached": {
			gr: claims, previous: fields{"phase": "Bound", "accessModes": []any{"ReadWriteOnce"}, "capacity": fields{"storage": "5Gi"}},
			copies: []rollup.Copy{*bound("10Gi", "ReadWriteOnce", "ReadWriteMany"), unheard("west")},
			want:   fields{"phase": "Bound", "accessModes": []any{"ReadWriteOnce"}, "capacity": fields{"storage": "5Gi"}},
		},
		"claim whose members have no mode in common, of which one cannot be reached": {
			gr: claims, previous: fields{"phase": "Bound", "accessModes": []any{""}, "capacity": fields{"storage": "5Gi"}},
			copies: []rollup.Copy{*bound("10Gi", "ReadWriteMany"), unheard("west")},
			want:   fields{"phase": "Bound", "capacity": fields{"storage": "5Gi"}},
		},
		"claim, bound": {gr: claims, copies: []rollup.Copy{*bound("10Gi", "ReadWriteOnce", "ReadWriteMany"), west(bound("5Gi", "ReadWriteMany", "Invented"))}, want: fields{
			"phase": "Bound", "accessModes": []any{"ReadWriteMany"}, "capacity": fields{"storage": "5Gi"},
		}},
		"claim, the first is smaller": {gr: claims, copies: []rollup.Copy{*bound("1Gi", "ReadWriteOnce", "ReadWriteOnce", "Invented"), west(bound("5Gi", "ReadWriteOnce"))}, want: fields{
			"phase": "Bound", "accessModes": []any{"ReadWriteOnce"}, "capacity": fields{"storage": "1Gi"},
		}},
		"claim, no common mode, no capacity": {gr: claims, copies: []rollup.Copy{*bound("-1", "ReadWriteOnce"), west(bound("1e2000000000"))}, want: fields{"phase": "Bound"}},
		"claim, pending on one":              {gr: claims, copies: []rollup.Copy{*bound("1Gi"), on("west", live(fields{"phase": "Pending"}))}, want: fields{"phase": "Pending", "capacity": fields{"storage": "1Gi"}}},
		"claim, missing on one":              {gr: claims, copies: []rollup.Copy{*bound("1Gi"), on("west", nil)}, want: fields{"phase": "Pending", "capacity": fields{"storage": "1Gi"}}},
		"claim, lost on one":                 {gr: claims, copies: []rollup.Copy{on("east", live(fields{"phase": "Lost"})), on("west", nil)}, want: fields{"phase": "Lost"}},
		"claim, one not heard":               {gr: claims, previous: fields{"phase": "Bound"}, copies: []rollup.Copy{*bound("1Gi"), unheard("west")}, want: fields{"phase": "Bound", "capacity": fields{"storage": "1Gi"}}},
		"config maps have no status":         {gr: configMaps, copies: []rollup.Copy{on("east", live(fields{"x": "y"}))}},
		"other, one copy: all of it": {
			gr: widgets, copies: []rollup.Copy{on("east", live(fields{"observedGeneration": int64(1), "size": int64(3), "ratio": 0.5, "on": true, "nested": fields{"list": []any{"a", nil, struct{}{}}}, "conditions": []any{cond("Ready", "True", "Fine", "well")}}))},
			want: fields{"observedGeneration": int64(7), "size": int64(3), "ratio": 0.5, "on": true, "nested": fields{"list": []any{"a"}}, "conditions": []any{
				merged("Ready", "True", "Fine", "east: well", fields{"lastUpdateTime": morningText, "lastTransitionTime": morningText}),
			}},
		},
		"other, several: the worst of each condition": {
			gr: widgets, copies: []rollup.Copy{
				on("east", live(fields{"size": int64(3), "conditions": []any{cond("Ready", "True", "Fine", "well"), cond("Stalled", "False", "Fine", "well"), cond("Warm", "True", "Hot", "hot")}})),
				on("west", live(fields{"observedGeneration": int64(1), "conditions": []any{
					fields{"type": "Ready", "status": "False", "reason": "Bad", "message": "ill", "observedGeneration": int64(1)}, cond("Stalled", "True", "Bad", "ill"),
				}})),
				unheard("edge"),
			},
			want: fields{"observedGeneration": int64(0), "conditions": []any{
				merged("Ready", "False", "Bad", "west: ill", updated, fields{"observedGeneration": int64(0)}), merged("Stalled", "True", "Bad", "west: ill", updated, fields{"observedGeneration": int64(0)}),
				merged("Warm", "Unknown", "MemberUnreachable", "edge: the member cannot be reached; west: the member has not told yet", updated, fields{"observedGeneration": int64(0)}),
			}},
		},
		"other, nobody tells any more": {gr: widgets, previous: fields{"observedGeneration": int64(7), "size": int64(3)}, copies: []rollup.Copy{on("east", nil)}, want: fields{"observedGeneration": int64(6), "size": int64(3)}},
	})
}

func TestConditionTimes(t *testing.T) {
	t.Parallel()
	previous := fields{"conditions": []any{
		fields{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "east, west: enough", "lastTransitionTime": morningText, "lastUpdateTime": morningText},
		fields{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "working", "lastTransitionTime": morningText, "lastUpdateTime": morningText},
	}}
	complete := fields{"observedGeneration": int64(1), "conditions": []any{cond("Available", "True", "MinimumReplicasAvailable", "enough"), cond("Progressing", "True", "NewReplicaSetAvailable", "done")}}
	status, _ := rollup.Status(deployments, object(1, nil, previous), []rollup.Copy{on("east", live(complete)), on("west", live(complete))}, noon)
	want := []any{
		merged("Available", "True", "MinimumReplicasAvailable", "east, west: enough", fields{"lastTransitionTime": morningText, "lastUpdateTime": morningText}),
		merged("Progressing", "True", "NewReplicaSetAvailable", "east, west: done", fields{"lastTransitionTime": morningText, "lastUpdateTime": noonText}),
	}
	if diff := cmp.Diff(want, status["conditions"]); diff != "" {
		t.Errorf("unexpected conditions (-want +got):\n%s", diff)
	}
	// The status of an object that was decoded with floating point numbers is as good.
	for field, value := range status {
		if n, ok := value.(int64); ok {
			status[field] = float64(n)
		}
	}
	upstream := object(1, nil, status)
	again, ok := rollup.Status(deployments, upstream, []rollup.Copy{on("west", live(complete)), on("east", live(complete))}, evening)
	if !ok || cmp.Diff(status, again) != "" {
		t.Errorf("the same figures, of another type, make another status: %v", cmp.Diff(status, again))
	}
}
