/* The known trace in Debian's Chromium, driven by playwright-core: playwright.js FOLDER-OF-PLAYWRIGHT BUILD FOLDER-FOR-SCREENSHOTS CHROMIUM
 * (run.sh prepares the rest). What test_browser.py looks at in depth with a driver of its own is seen here once more with one that
 * everybody knows: the page of .html from disk, and `viztracer view`. Ends with a line as Check's. */
'use strict';
const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');

const [folder, build, shots, executablePath] = process.argv.slice(2);
const {chromium} = require(require.resolve('playwright-core', {paths: [folder]}));
const samples = process.env.VT_SAMPLES, tool = path.join(build, 'bin/viztracer'), trace = path.join(samples, 'known.vzt');
const LIMIT = 120000; // ms for each step; all of it: run.sh
// the calls of the known trace (tests/unit/cli_html.c): how often each is there, and the longest, in ns
const CALLS = {'Shop.serve': [3, 99e6], 'Shop.order': [3, 50e6], 'Store.query': [6, 30e6], 'sqlite3.Connection.execute': [3, 20e6], 'never_seen': [0, 0]};
const THREADS = ['MainThread', 'worker-1', 'worker-2'];

function same(value, expected, what) {
    const [is, should] = [JSON.stringify(value), JSON.stringify(expected)];
    if (is !== should) throw new Error(`${what}: ${is} instead of ${should}`);
}

async function shot(page, name) {
    const data = await page.screenshot({path: path.join(shots, `playwright-${name}.png`)});
    if (data.length < 10000) throw new Error(`the screenshot ${name} has only ${data.length} bytes`);
}

/* Our own page, from disk or from the server: every call by name, then what a user does: search one, read about it. */
async function lookAtPage(page, name) {
    await page.waitForFunction(async () => window.viztracer && await viztracer.ready === 'ready');
    const found = await page.evaluate(names => names.map(n => viztracer.search(n).map(f => f.duration)), Object.keys(CALLS));
    same(found.map(d => [d.length, Math.max(0, ...d)]), Object.values(CALLS), 'calls and longest');
    same(await page.evaluate(() => viztracer.summary().tracks.map(t => t.name)), THREADS, 'threads');
    await page.evaluate(() => viztracer.search(''));
    await page.keyboard.press('/');
    await page.keyboard.type('Store.query');
    await page.keyboard.press('Enter');
    await page.locator('#details', {hasText: 'Store.query'}).filter({hasText: 'shop.py:20'}).waitFor();
    await shot(page, name);
}

/* The Perfetto UI: every slice by name out of its own engine, then one through its search. */
async function lookAtPerfetto(page) {
    await page.waitForFunction(() => document.title.includes('localtrace') && document.querySelectorAll('.pf-track').length > 0);
    const found = await page.evaluate(names => Promise.all(names.map(async name => {
        const sql = `select count(*) as n, ifnull(max(dur), 0) as longest from slice where name = '${name}' or name glob '${name} (*'`;
        const row = (await app.trace.engine.query(sql)).firstRow({n: 0, longest: 0});
        return [Number(row.n), Number(row.longest)];
    })), Object.keys(CALLS));
    same(found, Object.values(CALLS), 'slices and longest');
    await page.locator('.pf-omnibox input, .omnibox input').first().click();
    await page.keyboard.type('Store.query');
    const name = page.getByText(`Store.query (${samples}/shop.py:20)`).first();
    for (const end = Date.now() + LIMIT; !await name.isVisible(); await page.waitForTimeout(500)) {
        if (Date.now() > end) throw new Error('the search does not show Store.query');
        await page.keyboard.press('Enter'); // goes to a match once the search has one
    }
    for (const thread of THREADS) await page.getByText(thread).first().waitFor();
    await shot(page, 'perfetto');
}

/* viztracer view: the address that it prints, and the process; ui: a folder or none. */
async function view(ui) {
    const env = {...process.env, HOME: samples, XDG_CACHE_HOME: samples, VIZTRACER_UI_DIR: ui || 'none'};
    delete env.VIRTUAL_ENV;
    const server = childProcess.spawn(tool, ['view', '-s', '-p', '0', trace], {env, stdio: ['ignore', 'pipe', 'inherit']});
    const url = await new Promise((done, fail) => {
        let text = '';
        server.stdout.on('data', data => {
            text += data;
            const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=[0-9a-f]{32}/.exec(text);
            if (found) done(found[0]);
        });
        server.on('error', fail);
        server.on('exit', code => fail(new Error(`viztracer view has ended (${code}), it said: ${text}`)));
    });
    return {url, server};
}

async function viewed(page, ui, look) {
    const {url, server} = await view(ui);
    try {
        await page.goto(url);
        await look(page);
    } finally {
        server.kill();
    }
}

const tests = {
    async page(page) {
        const out = path.join(samples, 'known.html');
        childProcess.execFileSync(tool, ['convert', '--quiet', trace, '-o', out], {timeout: LIMIT});
        await page.goto('file://' + out);
        await lookAtPage(page, 'page');
    },
    async view_perfetto(page) {
        const ui = process.env.VIZTRACER_UI_DIR;
        if (!ui) return 'no Perfetto UI on this machine: ' + (process.env.VT_NO_UI || 'make deps-ui');
        await viewed(page, ui, lookAtPerfetto);
    },
    async view_page(page) {
        await viewed(page, null, page => lookAtPage(page, 'view'));
    },
};

async function run(test) {
    const browser = await chromium.launch({executablePath, timeout: LIMIT, chromiumSandbox: process.getuid() !== 0,
        args: ['--disable-gpu', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1']});
    try {
        const page = await browser.newPage({viewport: {width: 1280, height: 800}}), wrong = [], elsewhere = new Set();
        page.setDefaultTimeout(LIMIT);
        page.on('pageerror', error => wrong.push(error.message));
        page.on('request', request => {
            if (!/^(http:\/\/127\.0\.0\.1:\d+\/|file:|data:|blob:|about:)/.test(request.url())) elsewhere.add(request.url());
        });
        page.on('requestfailed', request => { // our server forbade it: it never left the browser
            if (request.failure().errorText === 'csp') elsewhere.delete(request.url());
        });
        const skipped = await test(page);
        same(wrong, [], 'errors');
        // without a UI the public one is tried, which cannot be reached here
        same([...elsewhere], test === tests.view_page ? ['https://ui.perfetto.dev/'] : [], 'asked for');
        return skipped;
    } finally {
        await browser.close();
    }
}

(async () => {
    let failed = 0;
    fs.mkdirSync(shots, {recursive: true});
    for (const [name, test] of Object.entries(tests)) {
        const began = Date.now();
        try {
            const skipped = await run(test);
            console.log(skipped ? `SKIP browser playwright ${name}: ${skipped}` : `ok ${name} (${(Date.now() - began) / 1000} s)`);
        } catch (error) {
            failed++;
            console.log(`playwright.js:0:F:${name}: ${String(error.message).replace(/\s*\n\s*/g, ' ')}`);
        }
    }
    const all = Object.keys(tests).length;
    console.log(`${Math.floor(100 * (all - failed) / all)}%: Checks: ${all}, Failures: ${failed}, Errors: 0`);
    process.exit(failed ? 1 : 0);
})();
