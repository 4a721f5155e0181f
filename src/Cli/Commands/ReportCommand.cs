using System.CommandLine;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Reports;

namespace Eigengate.Cli.Commands;

/// <summary>Draws report.html again from report.json.</summary>
internal static class ReportCommand
{
    private static readonly Argument<string> Folder = new("BUNDLE") { Description = "Bundle folder" };
    private static readonly Option<string?> Out = new("--out") { Description = "File to write [default: report.html in the bundle]", HelpName = "FILE" };

    public static Command Create()
    {
        var command = new Command("report", """
            Draws report.html of a bundle from its report.json: what was saved, and what was lost where.

            One file without outside references: it can be mailed, archived and opened without a server. compress writes it too.

            Example:  eigengate report BUNDLE --out compression.html
            """)
        {
            Folder, Out,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult options)
    {
        string folder = options.GetValue(Folder)!;
        string output = options.GetValue(Out) ?? Path.Combine(folder, HtmlReport.FileName);
        HtmlReport.Write(CompressionReport.Read(folder), output);
        Console.Out.WriteLine(output);
        return ExitCode.Success;
    }
}
