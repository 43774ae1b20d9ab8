SwaggerUIBundle({
  dom_id: "#page", url: "openapi.yaml", validatorUrl: null, deepLinking: true, defaultModelsExpandDepth: 0,
  supportedSubmitMethods: [], // this page only shows; the operators' listener has no calls to try
});
