// Stands in for the Python extension, which only the Marketplace has: the two calls that are used of its
// API, answering with the interpreter in TEST_PYTHON.

const vscode = require('vscode');

exports.activate = () => {
    const api = {
        asked: 0,
        environments: {
            getActiveEnvironmentPath: () => ({ path: process.env.TEST_PYTHON }),
            resolveEnvironment: async ({ path }) => {
                api.asked += 1;
                return { executable: { uri: vscode.Uri.file(path) } };
            },
        },
    };
    return api;
};
