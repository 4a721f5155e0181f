using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>Runs a reference encoder as a program of its own; skips the test by name where it is not installed.</summary>
internal static class ReferenceTool
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Standard output of a program that reads <paramref name="input"/>.</summary>
    public static async Task<string> RunAsync(string program, IEnumerable<string> arguments, string input = "")
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = Utf8,
            StandardOutputEncoding = Utf8,
        };
        Process? started = null;
        try
        {
            started = Process.Start(start);
        }
        catch (Win32Exception)
        {
            Assert.Skip($"{program} is not installed");
        }

        using Process process = started!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, $"{program} failed: {await errors}");
        return await output;
    }
}
