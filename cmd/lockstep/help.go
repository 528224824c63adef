package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup is a heading of the help text with its flags.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

// addGroups gives cmd the flags and a usage text that shows them under their headings.
func addGroups(cmd *cobra.Command, groups []flagGroup) {
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		_, err := fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range groups {
			if err == nil {
				err = writeGroup(out, g)
			}
		}
		return err
	})
}

// Widths of the help text in columns.
const (
	helpWidth   = 88
	helpIndent  = 29 // where the words about a flag begin
	flagPadding = "      "
)

func writeGroup(w io.Writer, g flagGroup) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:\n", g.title)
	g.flags.VisitAll(func(f *pflag.Flag) {
		value, words := pflag.UnquoteUsage(f)
		left := flagPadding
		if f.Shorthand != "" {
			left = "  -" + f.Shorthand + ", "
		}
		left += "--" + f.Name
		if f.Value.Type() != "bool" {
			left += " " + value
			if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "[]" {
				words += " (" + f.DefValue + ")"
			}
		}
		if len(left) >= helpIndent {
			left += "\n" + strings.Repeat(" ", helpIndent)
		} else {
			left += strings.Repeat(" ", helpIndent-len(left))
		}
		b.WriteString(left + wrap(words) + "\n")
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks words into lines beside the flags.
func wrap(words string) string {
	var b strings.Builder
	column := helpIndent
	for i, word := range strings.Fields(words) {
		switch {
		case i == 0:
		case column+1+len(word) > helpWidth:
			b.WriteString("\n" + strings.Repeat(" ", helpIndent))
			column = helpIndent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
