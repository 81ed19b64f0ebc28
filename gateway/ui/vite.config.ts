import { defineConfig } from "vite";

// The gateway serves the result under `default-src 'self'`: everything is a file of its own, nothing is inlined.
export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
