/**
 * Dependency rules: who may import whom. The order of the packages is the architecture.
 *
 * Core packages import only core packages below them; adapters (`platform`) and the simulator import
 * core; only composition roots (`dozo`, tests, programs under bench and e2e) import adapters.
 */

/** In dependency order: an arrow never points down this list. */
const corePackages = ['base', 'claim', 'engine', 'replica', 'osd', 's3'];

/** Test code may reach further than what it tests: it composes. */
const testFile = '[.]test[.]ts$|^packages/[^/]+/tests/';

/** Node's modules that a package that is free of I/O may still use. */
const computingModules = '^(node:)?(buffer|crypto|zlib|util|url|querystring|assert)$';

/** One rule for each core package: nothing at its own height or above. */
const orderRules = corePackages.map((name, position) => ({
  name: `order-of-${name}`,
  comment: `${name} imports only the core packages below it: ${corePackages.slice(0, position).join(', ') || 'none'}.`,
  severity: 'error',
  from: { path: `^packages/${name}/`, pathNot: testFile },
  to: {
    path: '^packages/',
    pathNot: `^packages/(${corePackages.slice(0, position + 1).join('|')})/`,
  },
}));

export default {
  forbidden: [
    ...orderRules,
    {
      name: 'no-cycles',
      comment: 'Modules that need each other are one module, or want a third one below them.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'only-roots-import-platform',
      comment: 'The real ports are chosen by composition roots: dozo, tests, bench, e2e.',
      severity: 'error',
      from: { path: '^packages/', pathNot: `^packages/(platform|dozo)/|${testFile}` },
      to: { path: '^packages/platform/' },
    },
    {
      name: 'platform-imports-core-only',
      comment: 'An adapter knows the ports and what is written against them.',
      severity: 'error',
      from: { path: '^packages/platform/', pathNot: testFile },
      to: { path: '^packages/', pathNot: `^packages/(platform|${corePackages.join('|')})/` },
    },
    {
      name: 'simulator-imports-core-only',
      comment: 'The simulator is deterministic: it must not reach a real port.',
      severity: 'error',
      from: { path: '^packages/simulator/', pathNot: testFile },
      to: { path: '^packages/', pathNot: `^packages/(simulator|${corePackages.join('|')})/` },
    },
    {
      name: 'only-tests-import-simulator',
      comment: 'Simulated ports never run in production.',
      severity: 'error',
      from: { path: '^(packages|bench|e2e|tools)/', pathNot: `^packages/simulator/|${testFile}` },
      to: { path: '^packages/simulator/' },
    },
    {
      name: 'tools-stand-apart',
      comment: 'Checks of the tree must run when the packages do not even compile.',
      severity: 'error',
      from: { path: '^tools/' },
      to: { path: '^(packages|bench|e2e)/' },
    },
    {
      name: 'packages-import-packages-only',
      comment: 'Nothing that is published reaches into the tree around it.',
      severity: 'error',
      from: { path: '^packages/', pathNot: testFile },
      to: { path: '^(bench|e2e|tools)/' },
    },
    {
      name: 'by-name-within-packages',
      comment: 'Another package is imported by its name, so that only its declared faces are seen.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'by-name-from-end-to-end-tests',
      comment: 'They see what everybody sees. (A benchmark may measure the inside of a package.)',
      severity: 'error',
      from: { path: '^e2e/' },
      to: {
        path: '^packages/',
        dependencyTypes: ['local'],
        dependencyTypesNot: ['aliased-workspace'],
      },
    },
    {
      name: 'no-io-in-core',
      comment:
        'base, claim, engine, replica, osd and simulator touch the world through ports only.',
      severity: 'error',
      from: {
        path: '^packages/(base|claim|engine|replica|osd|simulator)/',
        pathNot: testFile,
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 's3-protocol-is-pure',
      comment: 'Parsing, signing and rendering hash and compress, and do no I/O.',
      severity: 'error',
      from: { path: '^packages/s3/src/protocol/', pathNot: testFile },
      to: { dependencyTypes: ['core'], pathNot: computingModules },
    },
    {
      name: 's3-protocol-stands-below',
      comment: 'The protocol knows neither the gateway nor the store.',
      severity: 'error',
      from: { path: '^packages/s3/src/protocol/', pathNot: testFile },
      to: { path: '^packages/s3/src/(gateway|store)/' },
    },
    {
      name: 's3-has-no-files',
      comment: 'The gateway is stateless: HTTP and nothing else.',
      severity: 'error',
      from: { path: '^packages/s3/', pathNot: testFile },
      to: { dependencyTypes: ['core'], path: '^(node:)?(fs|child_process|dgram|worker_threads)' },
    },
    {
      name: 'tests-are-not-imported',
      comment: 'What tests share is a file of its own; a test file is only run.',
      severity: 'error',
      from: {},
      to: { path: '[.]test[.]ts$' },
    },
    {
      name: 'declared-dependencies',
      comment: 'Every package from npm stands in the package.json of who imports it.',
      severity: 'error',
      from: { path: '^packages/', pathNot: testFile },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'resolvable',
      comment: 'An import leads somewhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-deprecated-node',
      comment: 'Modules of Node that are on their way out.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['deprecated'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|build)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.lint.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
