// Package tools pins the developers' tools in a module of its own, which keeps
// their dependencies out of Lockstep's. Run one from the top of the repository:
//
//	go tool -modfile=tools/go.mod golangci-lint run
//
// Its test seeds a violation of every lint rule and sees it caught.
package tools
