using System.ComponentModel;
using System.Diagnostics;

namespace Eigengate.Integration.Tests;

/// <summary>The docker command of this machine.</summary>
internal static class Docker
{
    /// <summary>Output of a docker command, or null when it failed or docker is absent.</summary>
    public static async Task<string?> RunAsync(params IEnumerable<string> arguments)
    {
        (int exitCode, string output) = await Command.RunAsync("docker", arguments);
        return exitCode == 0 ? output.Trim() : null;
    }

    /// <summary>Why containers of an image cannot run here, or null.</summary>
    public static async Task<string?> WhyNotAsync(string image)
    {
        if (await RunAsync("version", "--format", "{{.Server.APIVersion}}") is null)
            return "no Docker daemon answers: eng/test-machine.sh starts one";
        return await RunAsync("image", "inspect", image) is null ? $"the image {image} is missing: run eng/base-images.sh" : null;
    }
}

/// <summary>A program run to its end.</summary>
internal static class Command
{
    /// <summary>Exit code (127 when there is no such program) and everything printed.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string program, IEnumerable<string> arguments, string? folder = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        var info = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder ?? Repository.Root };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            info.Environment[name] = value;
        try
        {
            using Process process = Process.Start(info)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancel), errors = process.StandardError.ReadToEndAsync(cancel);
            await process.WaitForExitAsync(cancel);
            return (process.ExitCode, await output + await errors);
        }
        catch (Win32Exception)
        {
            return (127, $"{program} was not found");
        }
    }
}
