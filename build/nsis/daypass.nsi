; The console's installer. Values come from build/dist.sh: VERSION CONSOLE DOWN ICON LICENSE OUT.
Unicode true
Target amd64-unicode
!include "MUI2.nsh"
!include "x64.nsh"
Name "Daypass"
OutFile "${OUT}"
InstallDir "$PROGRAMFILES64\Daypass"
InstallDirRegKey HKLM "Software\Daypass" "InstallDir"
RequestExecutionLevel admin
SetCompressor /SOLID lzma
ManifestDPIAware true
BrandingText "Daypass ${VERSION}"
!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_FINISHPAGE_RUN "$INSTDIR\daypass.exe"
!define UNINST "Software\Microsoft\Windows\CurrentVersion\Uninstall\Daypass"
!insertmacro MUI_PAGE_LICENSE "${LICENSE}"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"

Function .onInit
  ${IfNot} ${RunningX64}
    MessageBox MB_ICONSTOP "Daypass needs a 64-bit Windows 10 or 11."
    Abort
  ${EndIf}
  SetRegView 64
  SetShellVarContext all
FunctionEnd

Section
  SetOutPath "$INSTDIR"
  File "/oname=daypass.exe" "${CONSOLE}"
  SetOutPath "$INSTDIR\downloads"
  File "${DOWN}/*"
  SetOutPath "$INSTDIR"
  CreateShortcut "$SMPROGRAMS\Daypass.lnk" "$INSTDIR\daypass.exe"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "Software\Daypass" "InstallDir" "$INSTDIR"
  WriteRegStr HKLM "${UNINST}" "DisplayName" "Daypass"
  WriteRegStr HKLM "${UNINST}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${UNINST}" "DisplayIcon" "$INSTDIR\daypass.exe"
  WriteRegStr HKLM "${UNINST}" "Publisher" "Daypass"
  WriteRegStr HKLM "${UNINST}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegDWORD HKLM "${UNINST}" "NoModify" 1
  WriteRegDWORD HKLM "${UNINST}" "NoRepair" 1
SectionEnd

Function un.onInit
  SetRegView 64
  SetShellVarContext all
FunctionEnd

; What technicians keep (sessions, settings) stays in their profiles.
Section "Uninstall"
  Delete "$SMPROGRAMS\Daypass.lnk"
  Delete "$INSTDIR\daypass.exe"
  Delete "$INSTDIR\downloads\daypass-host-*"
  RMDir "$INSTDIR\downloads"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${UNINST}"
  DeleteRegKey HKLM "Software\Daypass"
SectionEnd
