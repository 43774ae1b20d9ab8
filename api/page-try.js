SwaggerUIBundle({
  dom_id: "#page", url: "openapi.yaml", validatorUrl: null, deepLinking: false,
});
