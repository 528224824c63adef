// Command build makes pinned programs and prints the path of each.
//
//	go run ./internal/objstore/objstoretest/s3server/pinned/build versitygw minio
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("name the programs to build; there are %v", names)
	}
	for _, name := range names {
		p, err := pinned.ByName(name)
		if err != nil {
			return err
		}
		path, err := p.Build(ctx, os.Stderr)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
