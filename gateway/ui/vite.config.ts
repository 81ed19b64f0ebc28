import { defineConfig } from "vite";

// The gateway serves the result under `default-src 'self'`: everything is a file of its own, nothing is inlined.
export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "^/$": { target: "ws://127.0.0.1:18789", ws: true, bypass: (req) => (req.headers.upgrade ? null : req.url) } },
  },
});
