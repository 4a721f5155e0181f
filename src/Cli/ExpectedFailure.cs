using Eigengate.ComputeNode;

namespace Eigengate.Cli;

/// <summary>Failures that the user can act on: shown as one line. Anything else is a bug and keeps its stack trace.</summary>
internal static class ExpectedFailure
{
    public static bool Is(Exception e) =>
        e is NodeStartException or IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException;

    public static string MessageOf(Exception e) => e switch
    {
        ArgumentException { ParamName: { } name } when e.Message.EndsWith($"(Parameter '{name}')", StringComparison.Ordinal) =>
            e.Message[..e.Message.LastIndexOf(" (Parameter", StringComparison.Ordinal)],
        _ => e.Message,
    };
}
