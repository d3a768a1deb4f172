import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// Mode "fake" swaps the one door to the native side for a scripted one. The production bundle never contains it:
// nothing but this alias names the fake, and e2e/bundle.test.mjs looks for it in dist.
export default defineConfig(({ mode }) => {
  const fake = mode === 'fake'
  return {
    plugins: [svelte()],
    resolve: {
      alias: {
        '#backend': at(fake || mode === 'test' ? './src/lib/backend/fake/entry.ts' : './src/lib/backend/real.ts'),
        $lib: at('./src/lib'),
        $features: at('./src/features'),
      },
      conditions: mode === 'test' ? ['browser'] : undefined,
    },
    build: {
      target: ['es2022', 'safari17'],
      outDir: fake ? 'dist-fake' : 'dist',
      emptyOutDir: true,
      assetsInlineLimit: 0, // the host's policy allows data: for pictures only
      modulePreload: { polyfill: false }, // the polyfill is an inline script
      rollupOptions: fake ? { input: { index: at('./index.html'), gallery: at('./gallery.html') } } : undefined,
      chunkSizeWarningLimit: 700,
    },
    server: { host: '127.0.0.1', strictPort: false },
    test: {
      environment: 'jsdom',
      include: ['src/**/*.test.ts'],
      restoreMocks: true,
      setupFiles: ['src/lib/testing/setup.ts'],
    },
  }
})
