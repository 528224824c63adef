package app

import (
	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/oms"
)

// addOMS puts the OMS dialect, and what answers at /, on the listener.
func (s *Service) addOMS(router *api.Router) {
	h := oms.New(oms.Config{
		Control: s.control, Log: s.log, EventKeys: s.cfg.OMS.EventKeys, Keys: oms.KeyEncoding(s.cfg.OMS.KeyForm),
		MaxTasks: s.cfg.OMS.MaxTasks, AllowHosts: s.cfg.OMS.AllowHosts, UnsignedPayload: s.cfg.OMS.UnsignedPayload,
	})
	router.Add(api.Route{Name: "root", Match: api.IsRoot, Handler: api.Root{Version: s.cfg.Version}})
	// Bodies have a bound of their own there.
	router.Add(api.Route{Name: "oms", Match: oms.Answers, MaxBody: -1, Handler: h})
}
