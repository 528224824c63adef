package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestEveryReasonHasWords reads the reasons from the source of package task, so
// that a new one cannot be forgotten here.
func TestEveryReasonHasWords(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "../../internal/task/task.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found int
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		reason := task.Reason(text)
		isIgnored, isFailed := ignoredWords[reason] != "", failureAdvice[reason] != ""
		if isSynced := reason == task.Copied || reason == task.Deleted; isSynced == (isIgnored || isFailed) || isIgnored && isFailed {
			t.Errorf("%s: words for ignored %v, for failed %v", reason, isIgnored, isFailed)
		}
		return true
	})
	if want := 2 + len(ignoredWords) + len(failureAdvice); found != want {
		t.Errorf("package task has %d reasons, this command knows %d", found, want)
	}
}
