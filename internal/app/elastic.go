package app

import (
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/elastic"
)

// addElastic adds the routes of the Elasticsearch dialect.
func (s *Service) addElastic(router *api.Router) {
	handler := elastic.New(elastic.Config{Control: s.control, Log: s.log})
	router.Add(api.Route{Name: "elastic", Match: elastic.SystemPath, MaxBody: elastic.MaxBody, Handler: handler})
	router.Add(api.Route{Name: "elastic", Method: http.MethodDelete, Match: elastic.IndexPath, MaxBody: elastic.MaxBody, Handler: handler})
}
