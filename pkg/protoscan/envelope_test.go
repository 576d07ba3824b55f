// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package protoscan_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/kcp-dev/tmc/pkg/capacity"
	"github.com/kcp-dev/tmc/pkg/protoscan"
)

// encode encodes an object as an API server does.
func encode(t testing.TB, o runtime.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protobuf.NewSerializer(runtime.NewScheme(), runtime.NewScheme()).Encode(o, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func field(number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func TestWatchFrame(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{UID: "u", Name: "p"}}
	frame, err := (&metav1.WatchEvent{Type: "ADDED", Object: runtime.RawExtension{Raw: encode(t, pod)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	eventType, object, err := protoscan.WatchEvent(frame)
	if err != nil || eventType != "ADDED" {
		t.Fatalf("event is %q, %v", eventType, err)
	}
	apiVersion, kind, raw, err := protoscan.Envelope(object)
	if err != nil || apiVersion != "v1" || kind != "Pod" {
		t.Fatalf("object is %q %q, %v", apiVersion, kind, err)
	}
	var got capacity.Pod
	if err := protoscan.Pod(raw, &got); err != nil || string(got.Name) != "p" {
		t.Errorf("pod is %q, %v", got.Name, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	list := &corev1.PodList{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"},
		ListMeta: metav1.ListMeta{ResourceVersion: "77", Continue: "next"},
		Items:    []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{UID: "a"}}, {ObjectMeta: metav1.ObjectMeta{UID: "b"}}},
	}
	_, kind, raw, err := protoscan.Envelope(encode(t, list))
	if err != nil || kind != "PodList" {
		t.Fatalf("list is %q, %v", kind, err)
	}
	var uids []string
	meta, err := protoscan.List(raw, func(raw []byte) error {
		var p capacity.Pod
		err := protoscan.Pod(raw, &p)
		uids = append(uids, string(p.UID))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, uids); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if want := (protoscan.ListMeta{ResourceVersion: "77", Continue: "next"}); meta != want {
		t.Errorf("list metadata is %+v, want %+v", meta, want)
	}
	stop := errors.New("stop")
	if _, err := protoscan.List(raw, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the item's error came back as %v", err)
	}
}

func TestBookmarkMeta(t *testing.T) {
	t.Parallel()
	raw, err := (&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "n", UID: "u", ResourceVersion: "12",
		Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true", "other": "x"},
	}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var meta protoscan.Meta
	if err := protoscan.ObjectMeta(raw, &meta); err != nil {
		t.Fatal(err)
	}
	want := protoscan.Meta{Namespace: []byte("ns"), Name: []byte("n"), UID: []byte("u"), ResourceVersion: []byte("12"), InitialEventsEnd: true}
	if diff := cmp.Diff(want, meta); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	raw, err := (&metav1.Status{
		Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old", Details: &metav1.StatusDetails{RetryAfterSeconds: 7},
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var got protoscan.StatusInfo
	if err := protoscan.Status(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := protoscan.StatusInfo{Status: "Failure", Code: 410, Reason: "Expired", Message: "too old", RetryAfterSeconds: 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// SEC-20: a member that sends garbage gets an error that says where it is.
func TestGarbageIsAnError(t *testing.T) {
	t.Parallel()
	pod := func(raw []byte) error { return protoscan.Pod(raw, &capacity.Pod{}) }
	node := func(raw []byte) error { return protoscan.Node(raw, &capacity.Node{}) }
	envelope := func(raw []byte) error { _, _, _, err := protoscan.Envelope(raw); return err }
	event := func(raw []byte) error { _, _, err := protoscan.WatchEvent(raw); return err }
	list := func(raw []byte) error { _, err := protoscan.List(raw, func([]byte) error { return nil }); return err }
	meta := func(raw []byte) error { return protoscan.ObjectMeta(raw, &protoscan.Meta{}) }
	status := func(raw []byte) error { return protoscan.Status(raw, &protoscan.StatusInfo{}) }
	named := string(field(1, string(field(1, "x"))))
	tests := map[string]struct {
		read func([]byte) error
		raw  string
		want string
	}{
		"pod without UID":                {pod, named, "reading pod ?/x: metadata.uid is missing"},
		"node without name":              {node, "", "reading node ?: metadata.name is missing"},
		"half a tag":                     {pod, "\xff", "the message ends"},
		"endless number":                 {pod, strings.Repeat("\xff", 11), "longer than 10 bytes"},
		"field zero":                     {pod, "\x00\x01", "no valid number"},
		"wire type six":                  {pod, "\x0e", "no valid wire type"},
		"group that did not begin":       {pod, "\x0c", "a group ends"},
		"group that does not end":        {pod, "\x0b\x08\x01", "the message ends"},
		"bad wire type in a group":       {pod, "\x0b\x0e", "no valid wire type"},
		"half a text in a group":         {pod, "\x0b\x0a\x05a", "the message ends"},
		"half a fixed64":                 {pod, "\x09ab", "the message ends"},
		"half a fixed32":                 {pod, "\x0dab", "the message ends"},
		"length beyond the end":          {pod, "\x0a\x05a", "the message ends"},
		"number for metadata":            {pod, "\x08\x01", "field 1: is not text or a message"},
		"long name":                      {node, string(field(1, string(field(1, strings.Repeat("n", 254))))), "longer than 253 bytes"},
		"control characters in the name": {pod, string(field(1, string(field(1, "a\x1b[2J")))), "reading pod ?/a?[2J"},
		"text for unschedulable":         {node, string(field(2, string(field(4, "x")))), "field 2: field 4: is not a number"},
		"bad quantity":                   {node, string(field(3, string(field(1, string(field(1, "cpu"))+string(field(2, string(field(1, "much")))))))), "is not a quantity"},
		"HTML instead of an envelope":    {envelope, "<html>", "does not begin with k8s"},
		"garbage in an envelope":         {envelope, "k8s\x00\xff", "reading envelope: the message ends"},
		"garbage in type metadata":       {envelope, "k8s\x00\x0a\x01\xff", "reading envelope: field 1"},
		"compressed content":             {envelope, "k8s\x00" + string(field(3, "gzip")), "contentEncoding"},
		"JSON content":                   {envelope, "k8s\x00" + string(field(4, "application/json")), "contentType"},
		"garbage in an event":            {event, "\x12\x01\xff", "reading watch event: field 2"},
		"long event type":                {event, string(field(1, strings.Repeat("A", 5000))), "longer than 4096 bytes"},
		"garbage in list metadata":       {list, "\x0a\x01\xff", "reading list: field 1"},
		"number for an item":             {list, "\x10\x01", "reading list: field 2"},
		"garbage in object metadata":     {meta, "\x0a\x01\xff", "reading object metadata: field 1"},
		"garbage in a status":            {status, "\x2a\x01\xff", "reading status: field 5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tc.read([]byte(tc.raw)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestGroupsAndUnknownFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	raw := append([]byte("\x0b\x08\x01\x11abcdefgh\x15abcd\x12\x01x\x0b\x0c\x0c"), field(1, string(field(5, "uid")))...)
	raw = append(raw, "\x79abcdefgh\x7dabcd\x70\x01"...)
	var p capacity.Pod
	if err := protoscan.Pod(raw, &p); err != nil || string(p.UID) != "uid" {
		t.Errorf("uid is %q, %v", p.UID, err)
	}
}

// SEC-20: a pod that invents resource names costs a bounded vector, and loses only those names.
func TestTooManyResources(t *testing.T) {
	t.Parallel()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Name: "p"}}
	g := newGenerator(5)
	list := corev1.ResourceList{"cpu": g.quantity()}
	for i := range 100 {
		list[corev1.ResourceName(fmt.Sprintf("example.com/r%03d", i))] = *newQuantity(1)
	}
	list["cpu"] = *newQuantity(2)
	p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: list}}}
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var got capacity.Pod
	if err := protoscan.Pod(raw, &got); err != nil {
		t.Fatal(err)
	}
	if amounts := readAmounts(t, got.Requests); !got.Truncated || amounts["cpu"] != 2000 || len(amounts) != 30 {
		t.Errorf("truncated is %v, amounts are %v; want cpu and 29 others", got.Truncated, amounts)
	}
}

// Entries that are encoded in an unusual way, which protobuf allows, mean the same.
func TestUnusualEncodings(t *testing.T) {
	t.Parallel()
	quantity := func(s string) string { return string(field(1, s)) }
	entry := func(parts ...[]byte) string { return string(bytes.Join(parts, nil)) }
	long := strings.Repeat("r", 130)
	tests := map[string]struct {
		entries []string
		want    map[string]int64
		fail    bool
	}{
		"value before name":       {entries: []string{entry(field(2, quantity("2")), field(1, "cpu"))}, want: map[string]int64{"cpu": 2000}},
		"long name":               {entries: []string{entry(field(1, long), field(2, quantity("3")))}, want: map[string]int64{long: 3}},
		"no quantity":             {entries: []string{entry(field(1, "cpu"))}, want: map[string]int64{}},
		"quantity without text":   {entries: []string{entry(field(1, "cpu"), field(2, ""))}, want: map[string]int64{}},
		"quantity of no digits":   {entries: []string{entry(field(1, "cpu"), field(2, quantity("")))}, fail: true},
		"long name, bad quantity": {entries: []string{entry(field(1, long), field(2, quantity("")))}, fail: true},
		"garbage as an entry":     {entries: []string{"\xff"}, fail: true},
		"last of two wins": {
			entries: []string{entry(field(1, "cpu"), field(2, quantity("2"))), entry(field(1, "cpu"), field(2, quantity("1")))},
			want:    map[string]int64{"cpu": 1000},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var container []byte
			for _, e := range tc.entries { // each in a piece of resources of its own
				container = append(container, field(8, string(field(2, e)))...)
			}
			raw := append(field(1, string(field(5, "uid"))), field(2, string(field(2, string(container))))...)
			var p capacity.Pod
			err := protoscan.Pod(raw, &p)
			if (err != nil) != tc.fail {
				t.Fatalf("error is %v, want one: %v", err, tc.fail)
			}
			if diff := cmp.Diff(tc.want, readAmounts(t, p.Requests)); err == nil && diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"} {
		if got, _, err := protoscan.WatchEvent(field(1, want)); err != nil || got != want {
			t.Errorf("event is %q, %v, want %q", got, err, want)
		}
	}
	for _, want := range []string{"Pod", "Node", "Status"} {
		body := append([]byte("k8s\x00"), field(1, string(field(2, want)))...)
		if _, got, _, err := protoscan.Envelope(body); err != nil || got != want {
			t.Errorf("kind is %q, %v, want %q", got, err, want)
		}
	}
}
