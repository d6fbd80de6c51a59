/**
 * Lint rules: typescript-eslint's strictest set, and the purity that the design asks for.
 *
 * Whatever decides anything gets time, randomness, disk and network from ports, so that the whole
 * system runs under the simulator. The compiler already refuses Node's types in packages without
 * I/O; the rules here refuse what the language itself brings along (`Date`, `Math.random`), and hold
 * the packages that do know Node (`s3`, `dozo`) to the ports too.
 */
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import type { Linter } from 'eslint';

const sources = ['**/*.ts'];
const tests = [
  'packages/*/src/**/*.test.ts',
  'packages/*/tests/**/*.ts',
  '{tools,bench,e2e}/**/*.test.ts',
];
/** Packages that reach the outside world only through ports. */
const portPackages = ['base', 'claim', 'engine', 'replica', 'osd', 's3', 'simulator'];

interface Ban {
  readonly selector: string;
  readonly message: string;
}

const focusBans: readonly Ban[] = [
  {
    selector:
      'MemberExpression[object.name=/^(it|test|describe|suite|bench)$/][property.name=/^(only|skip|todo)$/]',
    message: 'A test runs or is deleted. For a condition of the machine use runIf, and say which.',
  },
];

const styleBans: readonly Ban[] = [
  {
    selector: ':matches(PropertyDefinition, MethodDefinition)[accessibility="private"]',
    message: 'Use a #private member: it is private at run time too.',
  },
  { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
  { selector: 'ExportAllDeclaration', message: 'Name every export.' },
];

const timeBans: readonly Ban[] = [
  {
    selector: 'MemberExpression[object.name="Date"][property.name="now"]',
    message: 'Time comes from the Clock port.',
  },
  {
    selector: ':matches(NewExpression, CallExpression)[callee.name="Date"][arguments.length=0]',
    message: 'Time comes from the Clock port.',
  },
  {
    selector: 'MemberExpression[object.name="Math"][property.name="random"]',
    message: 'Randomness comes from the Random port, so that a run can be repeated.',
  },
  {
    selector: 'MemberExpression[object.name="process"][property.name="hrtime"]',
    message: 'Time comes from the Clock port.',
  },
];

const fromPort = (name: string, port: string): { name: string; message: string } => ({
  name,
  message: `Use the ${port} port of @dozo/base.`,
});

const timeGlobals = [
  fromPort('performance', 'Clock'),
  fromPort('setTimeout', 'Clock'),
  fromPort('setInterval', 'Clock'),
];

const outsideGlobals = [
  { name: 'process', message: 'The environment is read by the dozo package and handed down.' },
  { name: 'fetch', message: 'Use the Network port of @dozo/base.' },
  fromPort('crypto', 'Random'),
];

const consoleBan = { name: 'console', message: 'Only the dozo package and programs write to it.' };

const outsideModules = [
  'node:timers',
  'node:timers/promises',
  'node:perf_hooks',
  'node:process',
  'timers',
  'timers/promises',
  'perf_hooks',
  'process',
].map((name) => ({ name, message: 'Time and environment come from ports.' }));

const restrictSyntax = (...bans: readonly (readonly Ban[])[]): Linter.RuleEntry => [
  'error',
  ...bans.flat(),
];

const configuration: Linter.Config[] = [
  { ignores: ['**/node_modules/', '**/dist/', 'build/', '**/*.d.ts'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  { ...js.configs.recommended, files: sources },
  ...(tseslint.configs.strictTypeChecked as Linter.Config[]).map((entry) => ({
    ...entry,
    files: sources,
  })),
  {
    files: sources,
    languageOptions: {
      parserOptions: { project: ['./tsconfig.lint.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', caughtErrors: 'all', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `while (true)` with an exit inside is the plain form of many a loop.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // An arrow that returns the void of what it calls is clear, and short.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      eqeqeq: 'error',
      // Protocols and their tests speak of control characters on purpose.
      'no-control-regex': 'off',
      'no-eval': 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      'no-unmodified-loop-condition': 'error',
      'prefer-const': 'error',
      'no-restricted-syntax': restrictSyntax(focusBans),
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/platform/**', ...tests],
    rules: {
      'no-restricted-syntax': restrictSyntax(focusBans, styleBans, timeBans),
      'no-restricted-globals': ['error', ...timeGlobals],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: portPackages.map((name) => `packages/${name}/src/**/*.ts`),
    ignores: tests,
    rules: {
      'no-restricted-globals': [
        'error',
        ...timeGlobals,
        ...outsideGlobals,
        consoleBan,
        fromPort('setImmediate', 'Clock'),
      ],
      'no-restricted-imports': ['error', { paths: outsideModules }],
    },
  },
  {
    files: ['packages/platform/src/**/*.ts'],
    ignores: tests,
    rules: {
      'no-restricted-syntax': restrictSyntax(focusBans, styleBans),
      'no-restricted-globals': ['error', consoleBan],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // Tests are repeatable: randomness is seeded. Real time belongs to tests that drive real sockets
    // and processes; the packages without I/O have none.
    files: tests,
    rules: {
      'no-restricted-syntax': restrictSyntax(
        focusBans,
        timeBans.filter((ban) => ban.selector.includes('Math')),
      ),
      'no-restricted-globals': ['error', consoleBan],
      // Promise-returning interfaces are implemented by test doubles that have nothing to await.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['packages/{base,claim,engine,replica,osd,simulator}/{src/**/*.test.ts,tests/**/*.ts}'],
    rules: { 'no-restricted-globals': ['error', consoleBan, ...timeGlobals] },
  },
  {
    // Relations between constants are asserted there, and of course they hold today.
    files: ['**/limits.ts'],
    rules: { '@typescript-eslint/no-unnecessary-condition': 'off' },
  },
];

export default configuration;
