package main

import "github.com/spf13/cobra"

// profileTopic is what lockstep help profile says; it is no command.
func profileTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "profile",
		Short: "Where commands find the service and their access key",
		Long: `Commands that ask a service read three variables:

  LOCKSTEP_URL           its address (http://127.0.0.1:8321 when not set)
  LOCKSTEP_ACCESS_KEY    id of an access key
  LOCKSTEP_SECRET_KEY    its secret

To keep them out of the shell, write the same three as lines NAME=VALUE to
~/.config/lockstep/default.profile, with mode 0600. --profile NAME reads
NAME.profile of that directory, and no variables.`,
	}
}
