namespace Eigengate.Cli;

internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Wrong input or an environment that does not allow the work; the message says which and what was expected.</summary>
    public const int Refused = 1;

    /// <summary>The work was done, but some of the input was left out; the output names it.</summary>
    public const int Partial = 2;

    /// <summary>Ended by Ctrl+C.</summary>
    public const int Cancelled = 130;
}
