// Package inwebosim is a hostile inWebo: the mAccess service as docs/protocol.md tells it, for tests,
// for demonstrations, and to try a client of the protocol without a car.
//
// It exists to judge clients, so it must never share code with one: it is written from the protocol alone,
// imports nothing of ours, and computes every one-time password from its own keys, never from what a client says.
//
// It has two listeners. The protocol listener answers GET /iwws/MAC and /iwcxf/MAC
// (section 1) and GET /FS (section 8). The control listener serves JSON: knobs, faults, devices, the history
// of requests, the truth about a device. All that the control listener does is a method of [Simulator] too.
//
// Three kinds of hostility:
//
//   - what costs nothing is always there: elements in random order, negative challenges, passwords shorter
//     than eight characters, names that need escaping, a new modulus for each seed;
//   - what changes how the service behaves is a knob ([Knobs]), named and documented by the client bug that it exposes;
//   - what goes wrong once is a [Fault], planted for the next matching request or given a chance of hitting each one.
//
// [OddForms] lists odd ways of writing and sending an answer, and for each what a client must make of it: whether
// its err can be read, and whether the step that it carries can be used. A [Fault] of [KindForm] plants one.
//
// Everything random comes from [Options].Seed, per device, so a run can be replayed whatever the order in
// which devices talk.
//
// # What is not known of the real server
//
// What it does for a client that never saw its last finalize: [Knobs].LostFinalize offers refusing the old
// K1 (strict, forbidden) and taking it once more while sending the current keys again (lenient); neither
// is known to be true. The same holds for whether it checks the PIN in R2 ([Knobs].CheckPIN), whether
// R0 and R1 count as wrong PINs (here they do: it cannot tell a wrong key from a wrong guess), what it
// answers a device that never sent its secret (here NOK:FORBIDDEN), and the form of the fields that
// authenticateExtended answers beside err.
package inwebosim
