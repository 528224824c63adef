package task

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every reason of the block of failed keys can be asked for, and the refusal of another
// names it.
func TestFailuresCanBeSelectedByEveryReason(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "task.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if err := CheckFailureReason("DST_DENYED"); !errors.As(err, &e) || e.Kind != Invalid || e.Code != "UNKNOWN_REASON" || !strings.Contains(e.Text, "DST_DENYED") {
		t.Fatalf("a reason that is none: %v", err)
	}
	found := 0
	for _, d := range f.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Doc.Text() != "Reasons of failed keys.\n" {
			continue
		}
		for _, s := range block.Specs {
			text, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found++
			if err := CheckFailureReason(Reason(text)); err != nil || !strings.Contains(e.Next, text) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	if found == 0 || found != len(failureReasons)-2 { // with SourceGone and TaskDeleted
		t.Errorf("%d reasons are declared, %d are known", found, len(failureReasons)-2)
	}
	for _, other := range []Reason{Copied, UpToDate, Superseded, Reason(strings.Repeat("X", 10_000)), "dst_denied", "\xff"} {
		if err := CheckFailureReason(other); KindOf(err) != Invalid || len(err.Error()) > 400 {
			t.Errorf("%.20q: %v", other, err)
		}
	}
	if err := CheckFailureReason(""); err != nil {
		t.Error(err)
	}
}
