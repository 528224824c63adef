package native

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/lockstep-sync/lockstep/internal/control"
)

const idempotencyHeader = "Idempotency-Key"

// heedsIdempotencyKey reports whether an operation is a write that may have an idempotency
// key. A manifest is too large to be compared with an earlier one.
func heedsIdempotencyKey(op *huma.Operation) bool {
	return op.Method != http.MethodGet && op.Method != http.MethodHead && op.OperationID != manifestOperation
}

// answered has an operation of the OpenAPI document name the statuses that are answered:
// huma adds a 422, for which humaProblem answers 400, and knows nothing of what readBody
// refuses. It has writes name their idempotency key too, which no handler sees.
func answered(_ *huma.OpenAPI, op *huma.Operation) {
	delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
	if heedsIdempotencyKey(op) {
		longest := control.MaxOnceKey
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: idempotencyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
			Description: "A new UUID for each request. Sent again with the same key, a request is not done again: it gets the same answer, marked Idempotent-Replayed",
		})
	}
	if op.RequestBody == nil {
		return
	}
	like := op.Responses[strconv.Itoa(http.StatusBadRequest)]
	for _, status := range []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: like.Content}
	}
}
