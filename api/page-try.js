SwaggerUIBundle({
  dom_id: "#page", url: "openapi.yaml", validatorUrl: null, deepLinking: true, defaultModelsExpandDepth: 0,
});
