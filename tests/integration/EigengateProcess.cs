using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Threading.Channels;

namespace Eigengate.Integration.Tests;

/// <summary>The `eigengate` command as a user runs it: a child process, ended by its id.</summary>
internal sealed class EigengateProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _standardOutput = new();
    private readonly StringBuilder _standardError = new();
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(10_000);

    private EigengateProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, e) => Record(e.Data, _standardOutput);
        process.ErrorDataReceived += (_, e) => Record(e.Data, _standardError);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>Everything printed so far.</summary>
    public string Output => Read(_output);

    public string StandardOutput => Read(_standardOutput);

    public string StandardError => Read(_standardError);

    public int Id => _process.Id;

    public static EigengateProcess Start(params IEnumerable<string> arguments) => StartFrom(AppContext.BaseDirectory, arguments);

    /// <summary>Like <see cref="Start"/>, but of the program in another folder.</summary>
    public static EigengateProcess StartFrom(string folder, params IEnumerable<string> arguments)
    {
        string assembly = Path.Combine(folder, "eigengate.dll");
        var info = new ProcessStartInfo("dotnet", [assembly, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        return new EigengateProcess(Process.Start(info)!);
    }

    /// <summary>Runs to the end; exit code and everything printed.</summary>
    public static Task<(int ExitCode, string Output)> RunAsync(CancellationToken cancel, params IEnumerable<string> arguments) => RunFromAsync(AppContext.BaseDirectory, cancel, arguments);

    /// <summary>Like <see cref="RunAsync"/>, but of the program in another folder.</summary>
    public static async Task<(int ExitCode, string Output)> RunFromAsync(string folder, CancellationToken cancel, params IEnumerable<string> arguments)
    {
        await using EigengateProcess process = StartFrom(folder, arguments);
        return (await process.ExitAsync(cancel), process.Output);
    }

    /// <summary>Waits for the end; the exit code.</summary>
    public async Task<int> ExitAsync(CancellationToken cancel)
    {
        await _process.WaitForExitAsync(cancel);
        return _process.ExitCode;
    }

    /// <summary>What Ctrl+C does.</summary>
    public void Interrupt()
    {
        using var kill = Process.Start("kill", ["-INT", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>The rest of the first line that starts with <paramref name="label"/>, e.g. the URL after "gateway".</summary>
    public async Task<string> ValueOfAsync(string label, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            await foreach (string line in _lines.Reader.ReadAllAsync(limit.Token))
            {
                if (line.TrimStart().StartsWith(label + " ", StringComparison.Ordinal))
                    return line.TrimStart()[label.Length..].Trim();
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
        }

        throw new InvalidOperationException($"eigengate did not print '{label}'; it printed:\n{Output}");
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private string Read(StringBuilder text)
    {
        lock (_output)
            return text.ToString();
    }

    private void Record(string? line, StringBuilder stream)
    {
        if (line is null)
        {
            if (_process.HasExited)
                _lines.Writer.TryComplete();
            return;
        }

        lock (_output)
        {
            _output.AppendLine(line);
            stream.AppendLine(line);
        }

        _lines.Writer.TryWrite(line);
    }
}
