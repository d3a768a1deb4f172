import svelte from 'eslint-plugin-svelte'
import tseslint from 'typescript-eslint'
import svelteConfig from './svelte.config.js'

// The law of imports inside the page. Each rule carries its reason; a folder's rule forbids what it must not know.
const tier = (files, patterns) => ({
  files,
  ignores: ['**/*.test.ts'], // a test may take its states from the scripted native side
  rules: { 'no-restricted-imports': ['error', { patterns }] },
})
const features = ['sessions', 'remote', 'history', 'settings', 'welcome', 'team', 'account']
const noWails = {
  group: ['**/wailsjs/**', '#backend', '**/lib/backend/real', '**/lib/backend/real.ts', '**/backend/fake/**'],
  message: 'Only main.ts chooses the native side; ask for the Backend interface instead.',
}
const noFeature = { group: ['$features/*', '**/features/**'], message: 'lib is below the features and must not know them.' }
const noViewerInside = {
  group: ['$lib/backend*', '$lib/state*', '$lib/ui*', '$lib/i18n*', '$features*', 'svelte', 'svelte/*'],
  message: 'The viewer is framework-free: canvas, keys and socket only.',
}

export default [
  { ignores: ['dist/**', 'dist-fake/**', 'node_modules/**', 'test-results/**', 'wailsjs/**'] },
  ...tseslint.configs.recommended,
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: tseslint.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
  },
  {
    rules: {
      'svelte/no-at-html-tags': 'error', // text from the other computer inside a page with bindings is a way to run code
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: 'error',
      'no-eval': 'error',
      'no-console': 'error', // the log is the native side's
      'no-restricted-globals': ['error', { name: 'event', message: 'Take the event as a parameter.' }],
    },
  },
  {
    // one door: window.go and window.runtime
    files: ['src/**'],
    ignores: ['src/lib/backend/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='window'][property.name=/^(go|runtime)$/]",
          message: 'Only lib/backend talks to the native side.',
        },
      ],
    },
  },
  tier(['src/lib/{state,ui,i18n,tokens}/**'], [noWails, noFeature]),
  tier(['src/lib/viewer/**'], [noViewerInside, noFeature]),
  tier(['src/lib/backend/**'], [noFeature]),
  ...features.map((feature) =>
    tier(
      [`src/features/${feature}/**`],
      [
        noWails,
        {
          group: features.filter((other) => other !== feature).flatMap((other) => [`$features/${other}/**`, `../${other}/**`, `**/features/${other}/**`]),
          message: 'Features do not know each other; what they share belongs in lib.',
        },
      ],
    ),
  ),
  { files: ['e2e/**', '*.config.*'], rules: { 'no-console': 'off' } },
]
