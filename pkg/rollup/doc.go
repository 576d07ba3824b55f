// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollup turns the copies of an object on members into the status of the object in the workspace, and says how
// healthy each copy is.
//
// Its invariant: whoever judges the workspace's object by the rules of its kind comes to "done" exactly when he would
// come to it of every copy. The rules meant are those of kubectl rollout status (StatusViewer in kubectl,
// pkg/polymorphichelpers/rollout_status.go), which Argo CD's gitops-engine shares, and of Flux' kstatus; for kstatus see
// the limit of Status below. How they are met:
//
//   - observedGeneration is the generation of the workspace's object only when every copy has the content of that
//     generation, and its member's controller has observed it. Until then it is the previous one, and less than the
//     generation: a member that is added to a Placement changes no generation, but there is something to be observed.
//   - Of one copy, a part is never more than the whole (of its replicas, so many are updated): a member that claims
//     more cannot make up for what is missing on another.
//   - Figures are sums, and the rules compare them with spec.replicas, so that the surplus of one member could hide
//     what is missing on another: with three replicas on each of two members, one alone has the three that kubectl
//     waits for. Hence while any member has fewer than it was told to run, the figure that its kind's rule compares
//     (Deployment: updated; StatefulSet: ready, and updated down to the partition) stays below spec.replicas.
//   - The parts of a copy being bounded by its whole, replicas <= updated <= available holds for the sums of Deployments
//     only when it holds on every member.
//   - A StatefulSet has the revisions of a member that is between two of them, as long as there is one.
//   - What is last known counts, however old it is: a member that cannot be reached keeps its figures. One of which
//     nothing is known, since this process has never seen it, lets no figure fall below the previous one.
//
// A partition of a StatefulSet counts from zero on every member, but for the judges it counts once: divided over
// members, they may wait for more updated replicas than there will be.
//
// Status sums. By kstatus's rule status.replicas may not be more than spec.replicas, so that it never is content with a
// workload that every member runs whole (Duplicated). StatusAsOne counts such a workload as one cluster would, and
// satisfies every rule named.
//
// Status of members is not trusted: what comes out has the fields of its kind, and is bounded, whatever went in. The
// package is pure. It does not say which copies there should be, and calls nobody.
package rollup
