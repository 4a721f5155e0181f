namespace Eigengate.Gpu;

/// <summary>One line for every step: PASS or FAIL, what, and the numbers.</summary>
internal static class Outcome
{
    public static bool Print(bool passed, string what)
    {
        Console.WriteLine($"{(passed ? "PASS" : "FAIL")}  {what}");
        return passed;
    }
}
