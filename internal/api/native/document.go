package native

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// answered has an operation of the OpenAPI document name the statuses that are answered:
// huma adds a 422, for which humaProblem answers 400, and knows nothing of what readBody
// refuses.
func answered(_ *huma.OpenAPI, op *huma.Operation) {
	delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
	if op.RequestBody == nil {
		return
	}
	like := op.Responses[strconv.Itoa(http.StatusBadRequest)]
	for _, status := range []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: like.Content}
	}
}
