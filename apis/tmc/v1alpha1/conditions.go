// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of ClusterRegistration, ClusterGrant and ClusterStatus. A condition that is not known yet is
// Unknown with reason ReasonPending.
const (
	// ConditionReady sums up the other conditions. On a ClusterStatus it is Unknown while the member is unreachable.
	ConditionReady = "Ready"
	// ConditionAccepted says whether the registration is well-formed, its address is permitted, and its cluster is
	// not registered already.
	ConditionAccepted = "Accepted"
	// ConditionCredentialsValid says whether the credentials can be read, are well-formed, and the member honours them.
	ConditionCredentialsValid = "CredentialsValid"
	// ConditionReachable says whether the member answers. It is Unknown after a member has not answered for long.
	ConditionReachable = "Reachable"
	// ConditionCapacityKnown says whether nodes and pods of the member have been counted.
	ConditionCapacityKnown = "CapacityKnown"
)

// Reasons that several conditions share.
const (
	// ReasonPending is the reason while something has not been looked at yet.
	ReasonPending = "Pending"
	// ReasonReady is the reason of a Ready condition that is True.
	ReasonReady = "Ready"
)

// Reasons of ConditionAccepted.
const (
	// ReasonAccepted: nothing speaks against the registration.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec: a field of the spec is malformed; the message names it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonAddressNotAllowed: the server's address is in a range that members may not have.
	ReasonAddressNotAllowed = "AddressNotAllowed"
	// ReasonDuplicateMember: an older registration already has this cluster.
	ReasonDuplicateMember = "DuplicateMember"
)

// Reasons of ConditionCredentialsValid.
const (
	// ReasonCredentialsValid: the member honours the credentials.
	ReasonCredentialsValid = "CredentialsValid"
	// ReasonSecretNotFound: the Secret does not exist, or lacks the label tmc.kcp.io/credentials=member.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: the Secret lacks a key, or the key is empty.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonInvalidKubeconfig: the kubeconfig cannot be parsed, or lacks something.
	ReasonInvalidKubeconfig = "InvalidKubeconfig"
	// ReasonForbiddenField: the kubeconfig has a field that is not accepted; the message names it.
	ReasonForbiddenField = "ForbiddenField"
	// ReasonInvalidCredentials: a certificate, key or token cannot be parsed.
	ReasonInvalidCredentials = "InvalidCredentials"
	// ReasonCertificateExpired: the client certificate is expired or not valid yet.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonUnauthorized: the member answered 401.
	ReasonUnauthorized = "Unauthorized"
	// ReasonForbidden: the member denies a right that is needed; the message names it.
	ReasonForbidden = "Forbidden"
)

// Reasons of ConditionReachable.
const (
	// ReasonReachable: the member answers.
	ReasonReachable = "Reachable"
	// ReasonNotTried: the member was not called, since another condition forbids it.
	ReasonNotTried = "NotTried"
	// ReasonDialFailed: no connection could be made.
	ReasonDialFailed = "DialFailed"
	// ReasonTLSFailed: the member's certificate could not be verified.
	ReasonTLSFailed = "TLSFailed"
	// ReasonTimedOut: the member did not answer in time.
	ReasonTimedOut = "TimedOut"
	// ReasonInvalidResponse: the answer was not one of a Kubernetes API server, was a redirect, or was too large.
	ReasonInvalidResponse = "InvalidResponse"
	// ReasonServerError: the member answered with an error of its own.
	ReasonServerError = "ServerError"
)

// Reasons of ConditionCapacityKnown.
const (
	// ReasonCapacityKnown: nodes and pods are counted and followed.
	ReasonCapacityKnown = "CapacityKnown"
	// ReasonCounting: the first count has not ended.
	ReasonCounting = "Counting"
	// ReasonTruncated: the member has more pods, nodes or kinds of resources than are counted, so figures are too low.
	ReasonTruncated = "Truncated"
	// ReasonStale: the figures are the last known ones, since nodes and pods cannot be followed.
	ReasonStale = "Stale"
)

// Reasons of ConditionReady of a ClusterGrant.
const (
	// ReasonNothingSelected: no registration of the workspace matches.
	ReasonNothingSelected = "NothingSelected"
	// ReasonNameCollision: a borrower already has a member of that name, from its own registrations or an older grant.
	ReasonNameCollision = "NameCollision"
	// ReasonNameTooLong: registration and grant together make a name that no object can have.
	ReasonNameTooLong = "NameTooLong"
	// ReasonTooManyRows: the workspace lends more rows than one workspace may; older grants go first.
	ReasonTooManyRows = "TooManyRows"
	// ReasonInvalidSelector: clusterSelector cannot be parsed.
	ReasonInvalidSelector = "InvalidSelector"
)

// Condition types of Placement and PlacementStatus. Ready sums them up.
const (
	// ConditionScheduled says whether as many members were chosen as the Placement asks for, and every selected
	// workload is on them.
	ConditionScheduled = "Scheduled"
	// ConditionSynchronized says whether every chosen member has what it should have.
	ConditionSynchronized = "Synchronized"
	// ConditionAvailable says whether every copy is healthy.
	ConditionAvailable = "Available"
)

// Reasons of ConditionScheduled.
const (
	// ReasonScheduled: the Placement has the members that it asks for.
	ReasonScheduled = "Scheduled"
	// ReasonNoClusterFits: no member passes; the PlacementStatus says why of each.
	ReasonNoClusterFits = "NoClusterFits"
	// ReasonTooFewClusters: fewer members pass than numberOfClusters asks for.
	ReasonTooFewClusters = "TooFewClusters"
	// ReasonWorkloadsNotPlaced: members were chosen, but some selected objects run nowhere.
	ReasonWorkloadsNotPlaced = "WorkloadsNotPlaced"
	// ReasonReplicasNotPlaced: weights of 0 and upper bounds leave replicas of a divided workload without a place.
	ReasonReplicasNotPlaced = "ReplicasNotPlaced"
	// ReasonSuspended: suspension holds the decision or its execution back.
	ReasonSuspended = "Suspended"
	// ReasonInvalidPlacement: a field cannot be understood; the message names it.
	ReasonInvalidPlacement = "InvalidPlacement"
)

// Reasons why a member was not chosen.
const (
	// ReasonNameNotListed: clusterNames does not name it.
	ReasonNameNotListed = "NameNotListed"
	// ReasonLabelsDoNotMatch: clusterSelector does not select it.
	ReasonLabelsDoNotMatch = "LabelsDoNotMatch"
	// ReasonUntoleratedTaint: it has a taint that the Placement does not tolerate.
	ReasonUntoleratedTaint = "UntoleratedTaint"
	// ReasonUnschedulable: it takes no new work.
	ReasonUnschedulable = "Unschedulable"
	// ReasonClusterNotReady: its condition Ready is not True.
	ReasonClusterNotReady = "ClusterNotReady"
	// ReasonCapacityUnknown: its capacity has not been counted, and the workloads request resources.
	ReasonCapacityUnknown = "CapacityUnknown"
	// ReasonInsufficientCapacity: the workloads do not fit into what it has available.
	ReasonInsufficientCapacity = "InsufficientCapacity"
	// ReasonAPIMissing: it does not serve a kind that is placed, or not to the member's credentials.
	ReasonAPIMissing = "APIMissing"
	// ReasonAPIUnknown: it has not shown yet whether it serves a kind that is placed.
	ReasonAPIUnknown = "APIUnknown"
	// ReasonLowerScore: enough members with a higher score were found.
	ReasonLowerScore = "LowerScore"
	// ReasonClusterNotFound: the workspace has no such member.
	ReasonClusterNotFound = "ClusterNotFound"
)

// Reasons of ConditionSynchronized, and of copies that are not synced.
const (
	// ReasonSynchronized: everything is where it should be.
	ReasonSynchronized = "Synchronized"
	// ReasonSyncing: something is on its way.
	ReasonSyncing = "Syncing"
	// ReasonCollision: the member has an object of that name that is not this one's copy. It is not touched.
	ReasonCollision = "Collision"
	// ReasonMemberForbidden: the member denies the credentials a right that is needed; the message names it.
	ReasonMemberForbidden = "MemberForbidden"
	// ReasonMemberDenied: an admission webhook or policy, or a quota, of the member refuses the object.
	ReasonMemberDenied = "MemberDenied"
	// ReasonInvalidOnMember: the member's schema refuses the object.
	ReasonInvalidOnMember = "InvalidOnMember"
	// ReasonImmutableField: the change is to a field that cannot be changed; delete and create the object anew.
	ReasonImmutableField = "ImmutableField"
	// ReasonTooLarge: the object is larger than the member accepts.
	ReasonTooLarge = "TooLarge"
	// ReasonMemberUnreachable: the member cannot be reached.
	ReasonMemberUnreachable = "MemberUnreachable"
	// ReasonContested: something else on the member changes the copy each time that it is repaired. It is repaired rarely.
	ReasonContested = "Contested"
	// ReasonApplyFailed: the member answered with another error.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonNotSyncable: objects of this kind are not synced.
	ReasonNotSyncable = "NotSyncable"
	// ReasonPlacedByOther: another Placement places the object.
	ReasonPlacedByOther = "PlacedByOther"
	// ReasonDetachPending: a copy could not be removed from a member that cannot be reached.
	ReasonDetachPending = "DetachPending"
)

// Reasons of ConditionAvailable, and of copies that are not healthy.
const (
	// ReasonAvailable: every copy is healthy.
	ReasonAvailable = "Available"
	// ReasonProgressing: copies are on their way to be healthy.
	ReasonProgressing = "Progressing"
	// ReasonDegraded: a copy is not going to be healthy without help.
	ReasonDegraded = "Degraded"
	// ReasonNothingPlaced: nothing is placed, so nothing is available.
	ReasonNothingPlaced = "NothingPlaced"
)
