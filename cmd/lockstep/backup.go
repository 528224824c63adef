package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// dataCommand is a command that works on a data directory, not on a running service.
type dataCommand struct {
	*cli
	data, database string
	json           bool
}

func (d *dataCommand) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.data, "data", defaultData(d.env), "directory of the database, as lockstep serve has it")
	f.StringVar(&d.database, "database", "", "postgres://…, as lockstep serve has it (better in LOCKSTEP_DATABASE)")
	f.BoolVar(&d.json, "json", false, "print one JSON object")
}

// where completes the flags. postgres is what to do instead when the database is one.
func (d *dataCommand) where(cmd *cobra.Command, postgres string) error {
	if err := fillFlags(cmd.Flags(), "", d.env); err != nil {
		return err
	}
	if d.database != "" {
		return &task.Error{
			Kind: task.Invalid, Code: "BACKUP_UNSUPPORTED", Text: "a PostgreSQL database is backed up and restored with its own tools",
			Next: postgres,
		}
	}
	var err error
	d.data, err = filepath.Abs(d.data)
	return err
}

func (d *dataCommand) print(b app.Backup, human string) error {
	if d.json {
		return json.NewEncoder(d.stdout).Encode(b)
	}
	_, err := fmt.Fprint(d.stdout, human)
	return err
}

func (c *cli) backupCommand() *cobra.Command {
	d := &dataCommand{cli: c}
	cmd := &cobra.Command{
		Use:     "backup FILE [--data DIR]",
		Short:   "Copies the database, as of now, to a new file; the service may run",
		Long:    "Copies the database, as of now, to a new file; the service may run.\n\nThe sealing key is not in it. Keep DIR/seal.key too, and elsewhere: without it the\ncredentials and access keys in the backup open nothing.",
		Example: "  lockstep backup --data /var/lib/lockstep /backup/lockstep-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.where(cmd, `use pg_dump: pg_dump --format=custom --no-owner --file FILE "$LOCKSTEP_DATABASE"; and keep the sealing key elsewhere`); err != nil {
				return err
			}
			b, err := app.BackupData(cmd.Context(), d.data, args[0])
			if err != nil {
				return err
			}
			return d.print(b, fmt.Sprintf("%s  %s, schema %d, whole ✓\nkeep the sealing key (%s) elsewhere: it is not in the backup\n",
				printable(b.File), formatBytes(b.Bytes), b.Schema, filepath.Join(d.data, "seal.key")))
		},
	}
	d.flags(cmd)
	return cmd
}

func (c *cli) restoreCommand() *cobra.Command {
	d := &dataCommand{cli: c}
	cmd := &cobra.Command{
		Use:     "restore FILE [--data DIR]",
		Short:   "Makes a backup the database of a service that is stopped; what was there is kept beside it",
		Example: "  lockstep restore --data /var/lib/lockstep /backup/lockstep-2026-11-24.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.where(cmd, `stop all nodes, then use pg_restore: pg_restore --clean --if-exists --no-owner --single-transaction --dbname "$LOCKSTEP_DATABASE" FILE`); err != nil {
				return err
			}
			b, err := app.RestoreData(cmd.Context(), args[0], d.data, time.Now())
			if err != nil {
				return err
			}
			return d.print(b, d.restored(b))
		},
	}
	d.flags(cmd)
	return cmd
}

func (d *dataCommand) restored(b app.Backup) string {
	text := fmt.Sprintf("%s  %s, schema %d, whole ✓\nis now the database in %s\n", printable(b.File), formatBytes(b.Bytes), b.Schema, d.data)
	if b.Replaced != "" {
		text += fmt.Sprintf("the one before is %s\n", b.Replaced)
	}
	if b.SealMissing {
		text += fmt.Sprintf("its secrets need the sealing key with id %s: put it to %s, or start with --seal-key-file\n", b.Seal, filepath.Join(d.data, "seal.key"))
	}
	return text + "next: start the service, then scan every task (lockstep job start TASK): events since the backup are not in it\n"
}
