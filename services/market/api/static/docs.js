"use strict";

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null, // asks nobody on the internet
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
