using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Eigengate.LlamaCpp;

/// <summary>llama.cpp in a Node.js child process; see node/reference.mjs for the commands.</summary>
internal sealed class LlamaProcess : IDisposable
{
    private readonly Process _process;

    private LlamaProcess(Process process) => _process = process;

    /// <param name="gguf">Model file.</param>
    /// <param name="contexts">Contexts that decode at the same time.</param>
    /// <param name="threads">Compute threads of each.</param>
    /// <param name="sequences">Sequences of each.</param>
    /// <param name="cancel">Ends the wait.</param>
    public static async Task<LlamaProcess> StartAsync(string gguf, int contexts, int threads, int sequences, CancellationToken cancel)
    {
        string folder = Path.Combine(RepositoryRoot(), "bench", "LlamaCpp", "node");
        await InstallAsync(folder, cancel);
        var start = new ProcessStartInfo("node", ["reference.mjs", gguf, $"{contexts}", $"{threads}", $"{sequences}", "512"])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };

        // One thread of the pool per context: llama.cpp makes its compute threads anew for each thread that calls it.
        start.Environment["UV_THREADPOOL_SIZE"] = $"{contexts}";
        var llama = new LlamaProcess(Process.Start(start)!);
        await llama.AnswerAsync(cancel);
        return llama;
    }

    public async Task<JsonNode> RunAsync(object command, CancellationToken cancel)
    {
        await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(command).AsMemory(), cancel);
        await _process.StandardInput.FlushAsync(cancel);
        return await AnswerAsync(cancel);
    }

    public async Task<double> SecondsAsync(object command, CancellationToken cancel) =>
        (double)(await RunAsync(command, cancel))["seconds"]!;

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(5000))
            _process.Kill();
        _process.Dispose();
    }

    private async Task<JsonNode> AnswerAsync(CancellationToken cancel)
    {
        while (await _process.StandardOutput.ReadLineAsync(cancel) is { } line)
        {
            if (!line.StartsWith('{'))
                continue;
            JsonNode answer = JsonNode.Parse(line)!;
            return answer["error"] is { } error ? throw new InvalidOperationException($"llama.cpp: {error}") : answer;
        }

        throw new InvalidOperationException("llama.cpp ended");
    }

    private static async Task InstallAsync(string folder, CancellationToken cancel)
    {
        if (Directory.Exists(Path.Combine(folder, "node_modules")))
            return;

        // Not "npm ci": it refuses a lock file without the packages for other platforms, which some registries do not have.
        using Process install = Process.Start(
            new ProcessStartInfo("npm", ["install", "--no-save", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]) { WorkingDirectory = folder })!;
        await install.WaitForExitAsync(cancel);
        if (install.ExitCode != 0)
            throw new InvalidOperationException($"npm install in '{folder}' ended with {install.ExitCode}");
    }

    private static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Gateway.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("run it from a build inside the repository");
    }
}
