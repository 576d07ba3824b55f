// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

// Package health turns what was seen of a member into conditions that do not flap.
//
// It is pure: what was seen and when goes in, conditions come out, and nothing here calls a member or reads a clock.
// A member that was reachable stays so until it has not answered for long; one that was not must answer several times
// in a row. The first sight of a member counts at once, for there is nothing to flap from. What a condition says
// depends on the outcomes, not on when this process started: no answer is always Unknown, and a wrong answer always
// False, so replicas that started at different times agree.
//
// The types are not safe for concurrent use. Choosing when to call a member is the fleet package's work.
package health
