/**
 * Writes the public declarations of each entry point of the package to `docs/api`, so that a review sees every change of them:
 * `npm run api`. `test/api-report.test.ts` compares. The declarations are those of the build, without comments and private members.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const FOLDER = join(ROOT, 'docs/api')

/** Where the build has its declarations: types that the sources leave to inference are written there. */
const EMITTED = join(ROOT, 'dist')

export interface ApiReport {
  /** Texts by file name in `docs/api`. */
  files: Map<string, string>
  /** What is wrong with the surface, one line each. */
  problems: string[]
}

/** An exported name, with the declarations behind it. */
interface Exported {
  name: string
  symbol: ts.Symbol
  isTypeOnly: boolean
}

export function apiReport (): ApiReport {
  const entries = entryPoints()
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, ROOT)
  const program = ts.createProgram([...entries.values()], { ...options, noEmit: true, paths: {} })
  const checker = program.getTypeChecker()
  const surface = new Map([...entries].map(([entry, file]) => [entry, exportsOf(checker, program.getSourceFile(file)!)]))
  const known = new Set([...surface.values()].flat().map(({ symbol }) => symbol))
  const files = new Map<string, string>()
  const problems = new Set<string>()
  for (const [entry, exported] of surface) {
    files.set(fileOf(entry), textOf(checker, entry, exported))
    for (const one of exported) for (const problem of problemsOf(checker, one, known)) problems.add(`${entry}: ${one.name}: ${problem}`)
  }
  return { files, problems: [...problems] }
}

/** Declarations by the name under which they are imported, as `exports` of package.json has them. */
function entryPoints (): Map<string, string> {
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string, exports: Record<string, string | { types: string }> }
  return new Map(Object.entries(exports).flatMap(([path, target]) => typeof target === 'string'
    ? []
    : [[join(name, path), join(ROOT, target.types)]]))
}

/** `nodes-candy.md` for `tunpipe/nodes/candy`. */
const fileOf = (entry: string): string => `${entry.split('/').slice(1).join('-') || entry}.md`

function exportsOf (checker: ts.TypeChecker, file: ts.SourceFile): Exported[] {
  const module = checker.getSymbolAtLocation(file)!
  return checker.getExportsOfModule(module).map((symbol) => ({
    name: symbol.name,
    symbol: resolved(checker, symbol),
    isTypeOnly: symbol.declarations?.some((node) => ts.isExportSpecifier(node) && (node.isTypeOnly || node.parent.parent.isTypeOnly)) === true
  })).sort((a, b) => a.name < b.name ? -1 : 1)
}

const resolved = (checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol => (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed })

function textOf (checker: ts.TypeChecker, entry: string, exported: Exported[]): string {
  const parts = exported.map(({ name, symbol, isTypeOnly }) => {
    const isClass = symbol.declarations?.some(ts.isClassDeclaration) === true
    return `## ${name}\n\n\`\`\`ts\n${isClass && isTypeOnly ? '// only its type\n' : ''}${(symbol.declarations ?? []).map((node) => [declarationText(node, symbol.name, name), ...tablesIn(checker, node)].join('\n')).join('\n')}\n\`\`\`\n`
  })
  return `# ${entry}\n\nWritten by \`npm run api\`.\n\n${parts.join('\n')}`
}

function declarationText (node: ts.Declaration, declared: string, name: string): string {
  const file = node.getSourceFile()
  const text = printer.printNode(ts.EmitHint.Unspecified, ts.isClassDeclaration(node) ? publicPart(node) : node, file)
  const plain = (ts.isVariableDeclaration(node) ? `const ${text};` : text)
    .replace(/^export /, '').replace(/^declare /, '')
    .replaceAll(/^(?: {4})+/gm, (indent) => ' '.repeat(indent.length / 2))
  return declared === name ? plain : plain.replaceAll(new RegExp(`\\b${declared}\\b`, 'g'), name)
}

/** Types that are made of a table of options: their names are written with what they are. */
const OF_TABLES = ['InitOf', 'SettingsOf']

const isOfTable = (node: ts.Node): node is ts.TypeReferenceNode | ts.ExpressionWithTypeArguments => {
  const name = nameOfType(node)
  return name !== undefined && OF_TABLES.includes(name.getText())
}

/** The properties of the types of options that a declaration names, as comments. */
function tablesIn (checker: ts.TypeChecker, node: ts.Node): string[] {
  if (!isOfTable(node)) return node.getChildren().flatMap((child) => tablesIn(checker, child))
  const properties = checker.getPropertiesOfType(checker.getTypeAtLocation(node)).map((property) => {
    const type = checker.typeToString(checker.getTypeOfSymbol(property), node, ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope)
    return `//   ${property.name}${(property.flags & ts.SymbolFlags.Optional) === 0 ? '' : '?'}: ${type}`
  })
  return [`// ${node.getText()}:`, ...properties.sort()]
}

/** A class without `#private` and private members. */
function publicPart (node: ts.ClassDeclaration): ts.ClassDeclaration {
  const { modifiers, name, typeParameters, heritageClauses, members } = node
  return ts.factory.updateClassDeclaration(node, modifiers, name, typeParameters, heritageClauses, members.filter(isPublic))
}

function isPublic (node: ts.Node): boolean {
  if (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) return false
  return !ts.canHaveModifiers(node) || ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) !== true
}

/** No docstring, `any`, and types that no entry point exports. */
function * problemsOf (checker: ts.TypeChecker, { symbol }: Exported, known: ReadonlySet<ts.Symbol>): Generator<string> {
  if (symbol.getDocumentationComment(checker).length === 0) yield 'no docstring'
  for (const declaration of symbol.declarations ?? []) yield * problemsIn(checker, declaration, known)
}

function * problemsIn (checker: ts.TypeChecker, node: ts.Node, known: ReadonlySet<ts.Symbol>): Generator<string> {
  if (!isPublic(node) || isOfTable(node)) return
  if (node.kind === ts.SyntaxKind.AnyKeyword) yield 'any'
  const name = nameOfType(node)
  const symbol = name === undefined ? undefined : checker.getSymbolAtLocation(name)
  if (symbol !== undefined && isHidden(resolved(checker, symbol), known)) yield `${symbol.name} is not exported`
  for (const child of node.getChildren()) yield * problemsIn(checker, child, known)
}

/** The name of a type that a node refers to. */
function nameOfType (node: ts.Node): ts.Node | undefined {
  if (ts.isTypeReferenceNode(node)) return node.typeName
  if (ts.isTypeQueryNode(node)) return node.exprName
  if (ts.isImportTypeNode(node)) return node.qualifier
  return ts.isExpressionWithTypeArguments(node) ? node.expression : undefined
}

/** Generated types are those of a schema, and known by it. */
const GENERATED = '/generated/'

/** Whether a type of this package is exported by no entry point. */
function isHidden (symbol: ts.Symbol, known: ReadonlySet<ts.Symbol>): boolean {
  if (known.has(symbol) || (symbol.flags & ts.SymbolFlags.TypeParameter) !== 0) return false
  return symbol.declarations?.some((node) => node.getSourceFile().fileName.startsWith(EMITTED) && !node.getSourceFile().fileName.includes(GENERATED)) === true
}

function write ({ files, problems }: ApiReport): void {
  mkdirSync(FOLDER, { recursive: true })
  for (const name of readdirSync(FOLDER)) if (!files.has(name)) rmSync(join(FOLDER, name))
  for (const [name, text] of files) if (!existsSync(join(FOLDER, name)) || readFileSync(join(FOLDER, name), 'utf8') !== text) writeFileSync(join(FOLDER, name), text)
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) write(apiReport())
