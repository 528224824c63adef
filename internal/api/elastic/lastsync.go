package elastic

// syncStates are what a sync can be in.
var syncStates = []string{"canceling", "canceled", "completed", "error", "in_progress", "pending", "suspended"}

// The fields of _last_sync by what they hold.
var (
	lastTexts    = []string{"last_access_control_sync_error", "last_sync_error"}
	lastDates    = []string{"last_access_control_sync_scheduled_at", "last_incremental_sync_scheduled_at", "last_sync_scheduled_at", "last_synced"}
	lastStatuses = []string{"last_access_control_sync_status", "last_sync_status"}
	lastCounts   = []string{"last_deleted_document_count", "last_indexed_document_count"}
)

// lastSyncShape does not have last_seen, which typed clients can send: Elasticsearch
// refuses it here.
var lastSyncShape = func() shape {
	s := shape{name: "connector_update_last_sync_stats_request", fields: map[string]token{"sync_cursor": tokObject | tokNull}}
	for _, names := range [][]string{lastTexts, lastDates, lastStatuses} {
		for _, n := range names {
			s.fields[n] = tokString | tokNull
		}
	}
	for _, n := range lastCounts {
		s.fields[n] = tokNumber | tokString
	}
	return s
}()

// readLastSync reads what a body of _last_sync mentions; null mentions nothing.
func readLastSync(body []byte) (map[string]any, error) {
	in, err := lastSyncShape.read(body)
	if err != nil {
		return nil, err
	}
	set := map[string]any{}
	for _, name := range lastTexts {
		if s, given := in.text(name); given {
			set[name] = s
		}
	}
	for _, name := range lastDates {
		t, given, err := in.date(name)
		if err != nil {
			return nil, err
		}
		if given {
			set[name] = formatDate(t)
		}
	}
	for _, name := range lastStatuses {
		s, given, err := in.word(name, "SyncStatus", syncStates)
		if err != nil {
			return nil, err
		}
		if given {
			set[name] = s
		}
	}
	for _, name := range lastCounts {
		n, given, err := in.long(name)
		if err != nil {
			return nil, err
		}
		if given {
			set[name] = number(n)
		}
	}
	if cursor := in.get("sync_cursor"); cursor != nil && cursor.token == tokObject {
		set["sync_cursor"] = cursor.value()
	}
	return set, nil
}

// lastSync takes how a connector's last sync went: all of it or a part, any number of
// times. It touches nothing else, and the fields are not weighed against each other.
func (a *API) lastSync(c *call) (answer, error) {
	set, err := readLastSync(c.body)
	if err != nil {
		return answer{}, err
	}
	var after document
	out, err := a.report(c, func(doc document) error {
		doc.merge(set)
		after = doc
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return out, a.tellHistory(c, after, set)
}
